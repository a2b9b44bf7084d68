"""What a challenger must show before it may serve (docs/decisions/gate.md)."""

from typing import Annotated, Literal

from pydantic import Field

from pipelines.spec.models import Metric
from pipelines.spec.section import Section, Share

Worse = Literal["auto", "point", "shown", "not_excluded"]


class GateSpec(Section):
    """The rules a challenger must pass on the leak-free test set before it may serve.

    A limit of null asks nothing. A figure that was not measured, as where no masks came with the
    images, is not judged; the verdict says so.
    """

    minimum: dict[Metric, Share] = Field(default={})
    """Least value of each named figure."""
    minimum_sensitivity: dict[str, Share] = Field(default={})
    """Least sensitivity of each named class."""
    min_informedness: Share | None = 0.1
    """Least informedness (sensitivity + specificity - 1; 0 is guessing) of every class, whose
    interval must lie above 0: no class may be lost."""
    max_ece: Share | None = 0.1
    """Most expected calibration error, after calibration."""

    worse_when: Worse = "auto"
    """When a challenger counts as worse than the champion, or than the best champion so far.
    ``auto``: where the test set is large enough to tell (the 95 % interval of the difference is
    no wider than the margin), as ``not_excluded``; elsewhere the figure is lower by more than the
    margin and more than chance explains, or by more than the margin and `small_test_allowance`.
    ``point``: the figure is lower by more than the margin, whatever chance explains. ``shown``:
    the same, and the interval excludes that both are equal; small test sets let large drops pass.
    ``not_excluded``: the interval reaches beyond the margin (non-inferiority); needs hundreds of
    test images of each class."""
    small_test_allowance: Share = 0.05
    """For ``auto``: how far beyond a margin a figure may drop where the test set is too small to
    tell."""
    max_sensitivity_drop: Share = 0.05
    """The margin of each class's sensitivity, on the same images."""
    max_metric_drop: Share = 0.01
    """The margin of the selection metric."""
    max_subgroup_drop: Share | None = 0.1
    """The margin of the accuracy within each subgroup."""
    min_subgroup_images: Annotated[int, Field(ge=2)] = 30
    """Fewest images of a subgroup that is judged; of smaller ones it is said that they are."""

    max_leaked: Share | None = 0.0
    """Largest share of the test images that training shows too."""
    min_inside_body: Share | None = 0.5
    """Least share of the Grad-CAM heat on the body."""
    min_pointing_game: Share | None = None
    """Least share of the images whose hottest place lies in the lesion, where masks are known."""
    min_pointing_gain: Annotated[float, Field(ge=-1, le=1)] | None = 0.0
    """Least gain of the pointing game over a map that knows nothing (the lesion's share of the
    image), where masks are known: heat that points elsewhere is refused."""
    min_faithfulness: Annotated[float, Field(ge=-1, le=1)] | None = 0.0
    """Least faithfulness of the heat, where masks are known: insertion less deletion, above what
    pixels in random order come to."""
    max_sanity_correlation: Annotated[float, Field(ge=-1, le=1)] | None = 0.9
    """Most likeness of heat maps before and after the weights were made random."""
    max_background_kappa: Annotated[float, Field(ge=-1, le=1)] | None = 0.6
    """Most agreement beyond chance (Cohen's kappa) of the model with its own answers where the
    body is blanked: what it says may not come from the background."""
    min_source_accuracy: Share | None = None
    """Least accuracy on the images of the source that it is worst on."""

    bundle_tolerance: float = Field(default=1e-3, gt=0)
    """Largest difference of a probability between bundle and Keras model, for ``f32``."""
    max_bundle_loss: Share = 0.005
    """Most accuracy that a bundle of less precision may lose against its Keras model: on
    validation images when it is built, and on the test set."""
