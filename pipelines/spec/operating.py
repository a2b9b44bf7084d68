"""How a model is to be used: what it must not miss, and how common a finding is there."""

from pydantic import Field, model_validator

from pipelines.spec.section import Section, Share


class OperatingSpec(Section):
    """How a model is to be used (docs/evidence/figures.md)."""

    finding_sensitivity: float | None = Field(default=None, gt=0, lt=1)
    """Share of the images with any finding that must not be called unremarkable. Thresholds that
    reach it on the validation split are chosen and go into the bundle, unless the likeliest class
    reaches it as it is; the likeliest class decides if null."""
    finding_threshold: float | None = Field(default=None, gt=0, lt=1)
    """The threshold itself, where it is known from elsewhere: 0.1 says that a missed finding is as
    bad as nine false alarms. In place of ``finding_sensitivity``."""
    prevalence: float | None = Field(default=None, gt=0, lt=1)
    """Share of images with any finding where the model will be used; predictive values are told
    for it. That of the test set if null, which is seldom that of a clinic."""
    answered_accuracy: Share = 0.995
    """Accuracy of the answered images at which the report says how many are answered."""

    @property
    def asks_for_thresholds(self) -> bool:
        """Whether another class than the likeliest may be decided for."""
        return self.finding_sensitivity is not None or self.finding_threshold is not None

    @model_validator(mode="after")
    def _one_way(self) -> "OperatingSpec":
        if self.finding_sensitivity is not None and self.finding_threshold is not None:
            raise ValueError(
                "finding_sensitivity and finding_threshold both say what decides; name one of them"
            )
        return self
