"""How a model is to be used: what it must not miss, and how common a finding is there."""

from pydantic import Field

from pipelines.spec.section import Section, Share


class OperatingSpec(Section):
    """How a model is to be used (docs/evidence/figures.md)."""

    finding_sensitivity: float | None = Field(default=None, gt=0, lt=1)
    """Share of the images with any finding that must not be called unremarkable. Thresholds that
    reach it on the validation split are chosen and go into the bundle, unless the likeliest class
    reaches it as it is; the likeliest class decides if null."""
    prevalence: float | None = Field(default=None, gt=0, lt=1)
    """Share of images with any finding where the model will be used; predictive values are told
    for it. That of the test set if null, which is seldom that of a clinic."""
    answered_accuracy: Share = 0.995
    """Accuracy of the answered images at which the report says how many are answered."""
