"""What one kind of evidence came to, in a form that report, model card and gate can all read."""

from pydantic import BaseModel, ConfigDict

from pipelines.evaluation.intervals import Interval

Cell = str | int | float | None
"""A number is shown with three digits; ``None`` as a dash."""


class Table(BaseModel):
    """A table for a person."""

    model_config = ConfigDict(frozen=True)

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


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
