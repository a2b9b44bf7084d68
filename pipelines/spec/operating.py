"""How a model is to be used: what it must not miss, and how common a finding is there."""

from typing import Annotated

from pydantic import Field, model_validator

from pipelines.spec.section import Section, Share

Threshold = Annotated[float, Field(gt=0, lt=1)]
WAYS = (
    *("finding_sensitivity", "finding_specificity", "finding_threshold"),
    *("cost_ratio", "youden", "thresholds"),
)
"""Fields that say which class is decided for; one at most is set."""


class OperatingSpec(Section):
    """How a model is to be used (docs/evidence/figures.md).

    The likeliest class is decided for, unless one of `WAYS` is set.
    """

    finding_sensitivity: Threshold | None = None
    """Target sensitivity: share of the images with any finding that must be called one. The highest
    threshold that reaches it on the validation split goes into the bundle, at most 0.5."""
    finding_specificity: Threshold | None = None
    """Target specificity: share of the images without a finding that must not be called one. The
    lowest threshold that reaches it on the validation split goes into the bundle."""
    youden: bool = False
    """The threshold with the largest sensitivity + specificity - 1 on the validation split."""
    cost_ratio: float | None = Field(default=None, gt=0)
    """How many false alarms a missed finding is as bad as: the threshold is 1 / (1 + ratio), of
    calibrated probabilities. 9 says the same as ``finding_threshold: 0.1``."""
    finding_threshold: Threshold | None = None
    """The threshold of every finding, where it is known from elsewhere; other classes get the rest
    of 1."""
    thresholds: dict[str, Threshold] | None = None
    """Class → threshold, for all classes; decided for is the class whose probability exceeds its
    threshold by the largest factor."""
    prevalence: float | None = Field(default=None, gt=0, lt=1)
    """Share of images with any finding where the model will be used; predictive values are given
    for it. That of the test set if null, which is seldom that of a clinic."""
    answered_accuracy: Share = 0.995
    """Accuracy of the answered images at which the report says how many are answered."""

    @property
    def chosen(self) -> tuple[str, ...]:
        """Those of `WAYS` that are set."""
        return tuple(name for name in WAYS if getattr(self, name) not in (None, False))

    @property
    def needs_both_kinds(self) -> bool:
        """Whether the data set must have classes that are findings, and others."""
        return bool(self.chosen) and self.thresholds is None

    @property
    def stated_threshold(self) -> float | None:
        """The threshold of findings, where it does not depend on the validation split."""
        if self.cost_ratio is not None:
            return 1 / (1 + self.cost_ratio)
        return self.finding_threshold

    @model_validator(mode="after")
    def _one_way(self) -> "OperatingSpec":
        if len(self.chosen) > 1:
            first, second, *_ = self.chosen
            raise ValueError(f"{first} and {second} both say what decides; name one of them")
        return self
