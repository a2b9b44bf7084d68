"""What one kind of evidence came to, in a form that report, model card and gate can all read."""

import math

from pydantic import BaseModel, ConfigDict, field_validator

from pipelines.evaluation.intervals import Interval

Cell = str | int | float | None
"""A number is shown with three digits; ``None`` as a dash."""


class Table(BaseModel):
    """A table for a person."""

    model_config = ConfigDict(frozen=True)

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @field_validator("rows")
    @classmethod
    def _finite(cls, rows: tuple[tuple[Cell, ...], ...]) -> tuple[tuple[Cell, ...], ...]:
        """What is no number (0 of 0) is a dash: JSON has no word for it."""
        return tuple(tuple(map(_or_dash, row)) for row in rows)


def _or_dash(cell: Cell) -> Cell:
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell


class Finding(BaseModel):
    """What one kind of evidence came to."""

    model_config = ConfigDict(frozen=True)

    title: str
    about: str
    """How it was found, in a newcomer's words, with the source of the method."""
    said: tuple[str, ...] = ()
    """What was found, a sentence each."""
    warnings: tuple[str, ...] = ()
    """What somebody has to know before trusting the model, a sentence each."""
    figures: dict[str, float] = {}
    """Name → value; MLflow shows each as the metric ``<kind>.<name>``."""
    intervals: dict[str, Interval] = {}
    """95 % intervals of figures, where there are any."""
    tables: tuple[Table, ...] = ()
    pictures: dict[str, str] = {}
    """File name below the run's ``figures/`` → its caption."""
