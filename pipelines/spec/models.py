"""Which models are trained, and what they may say."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipelines.spec.recipe import TrainingSpec
from pipelines.spec.section import Section, Share

CandidateName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=60)]


class CandidateSpec(TrainingSpec):
    """One model to train and compare."""

    name: CandidateName
    model: str
    """Family in the model zoo (``efficientnet_lite0``, ``small_cnn`` …)."""
    optional: bool = False
    """Trained only when it is asked for by name (``medloop retrain DATASET --candidate NAME``)."""
    weights: str | None = "imagenet"
    """``imagenet``, a path to weights, or null for random ones."""

    @model_validator(mode="after")
    def _weights_fit_recipe(self) -> "CandidateSpec":
        if self.recipe in ("frozen", "finetune") and self.weights is None:
            raise ValueError(
                f"recipe '{self.recipe}' needs pretrained weights ('imagenet' or a path); "
                "use recipe 'scratch' to train from random ones"
            )
        return self


Metric = Literal[
    "accuracy", "macro_f1", "macro_sensitivity", "macro_specificity", "macro_auroc", "macro_auprc"
]


class AbstentionSpec(Section):
    """When an answer is marked as one that should not be relied on (``abstained``)."""

    min_confidence: Share = 0.6
    """Least calibrated probability of the decided class."""
    min_contrast: float = Field(default=5, ge=0, le=128)
    """Least standard deviation of the image's shades, of 256."""
    min_side: int = Field(default=64, ge=1)
    """Fewest pixels of the image's shorter side."""
    false_alarms: float = Field(default=0.01, gt=0, lt=0.5)
    """Share of the validation images that may be taken for unlike the training images; it sets
    the distance in feature space above which an image is."""


class ReviewSpec(Section):
    """When an answer asks for a person to see the case first; findings and abstentions do."""

    possible_finding: Share = 0.2
    """Least probability of all findings together, where the decided class is none."""


Precision = Literal["f32", "bf16", "int8"]


class BundleSpec(Section):
    """How the served model calculates (docs/decisions/precision.md)."""

    precision: Precision = "f32"
    """``f32``: as trained. ``bf16``: 16-bit, on processors that have it. ``int8``: weights and
    activations as 8-bit integers; the fastest, and the furthest from the trained model."""


class SelectionSpec(Section):
    """How the best candidate is found (always on the validation split)."""

    metric: Metric = "macro_f1"
