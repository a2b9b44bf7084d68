"""What a search for a candidate's settings may try (docs/decisions/tuning.md)."""

from typing import Literal

from pydantic import Field, model_validator

from pipelines.spec.section import Section

Setting = str | int | float | bool | None


class Range(Section):
    """Numbers between two bounds, both included; whole ones where both bounds are."""

    low: int | float
    high: int | float
    step: int | float | None = Field(default=None, gt=0)
    """Distance between neighbours; any number if null (any whole one between whole bounds)."""
    scale: Literal["linear", "log"] = "linear"
    """``log``: as many tries from 0.001 to 0.01 as from 0.01 to 0.1."""

    @model_validator(mode="after")
    def _has_numbers(self) -> "Range":
        if self.low > self.high:
            raise ValueError(f"low {self.low:g} is above high {self.high:g}; exchange them")
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"a log scale begins above 0, not at {self.low:g}")
        if self.scale == "log" and self.step is not None:
            raise ValueError("a log scale has no steps; leave step out, or use choices")
        return self

    @property
    def ends(self) -> tuple[Setting, ...]:
        """What has to be a valid setting for all to be."""
        return (self.low, self.high)


class Choices(Section):
    """A few values."""

    choices: tuple[Setting, ...] = Field(min_length=1)

    @property
    def ends(self) -> tuple[Setting, ...]:
        """What has to be a valid setting for all to be."""
        return self.choices


class TuneSpec(Section):
    """How a candidate's best settings are searched before it is trained.

    Every trial is judged by its least loss on the validation split; the test split is not asked.
    """

    search: Literal["random", "hyperband"] = "random"
    """``random``: every trial is trained in full. ``hyperband``: the weaker ones are stopped
    early, so that more can be tried in the same time."""
    trials: int = Field(default=10, ge=1, le=1000)
    """How many settings are tried."""
    executions: int = Field(default=2, ge=1, le=10)
    """How often each is trained, with another seed each time; their mean counts."""
    max_epochs: int = Field(default=12, ge=1, le=1000)
    """Most epochs of one training; ``patience`` ends it sooner."""
    factor: int = Field(default=3, ge=2, le=10)
    """``hyperband``: one trial in so many goes on at each of its stops."""
    space: dict[str, Range | Choices] | None = None
    """Setting → what is tried: a field of the candidate, or ``options.<name>`` of its model;
    the model family's usual ones if null."""

    @model_validator(mode="after")
    def _something_to_try(self) -> "TuneSpec":
        if self.space is not None and not self.space:
            raise ValueError("space names no setting; leave it out for the family's usual ones")
        return self
