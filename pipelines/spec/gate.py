"""What a challenger must show before it may serve (docs/decisions/gate.md)."""

from typing import Annotated, Literal

from pydantic import Field

from pipelines.spec.models import Metric
from pipelines.spec.section import Section, Share

Worse = Literal["point", "shown", "not_excluded"]


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

    worse_when: Worse = "shown"
    """When a challenger counts as worse than the champion by more than a margin. ``point``: the
    figures say so, whatever chance had in it. ``shown``: they say so, and the interval of the
    difference leaves out that they are equal. ``not_excluded``: the interval reaches beyond the
    margin (non-inferiority); needs hundreds of test images of each class."""
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
