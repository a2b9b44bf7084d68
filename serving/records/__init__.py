"""What is recorded of images once they are answered or landed, off the request path."""

from collections.abc import Callable
from dataclasses import dataclass

from pipelines.data.land.uploads import Outcome
from pipelines.release.predictor import Predictor, Reading
from serving.context import RequestContext
from serving.schemas import Prediction


@dataclass(frozen=True)
class Answered:
    """One image and its answer."""

    context: RequestContext
    route: str
    predictor: Predictor
    reading: Reading
    prediction: Prediction
    seconds: float
    """From the request's begin to its answer."""


@dataclass(frozen=True)
class Uploaded:
    """One file for a landing folder and what became of it."""

    context: RequestContext
    route: str
    dataset: str
    label: str | None
    folder: str
    sha256: str | None
    """``None`` if the file was not opened."""
    bytes: int
    outcome: Outcome


Observer = Callable[[Answered], None]
"""Takes note of an answer, on the event loop: returns at once and never raises."""
UploadObserver = Callable[[Uploaded], None]
"""The same of a file for a landing folder."""
