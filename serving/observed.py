"""What is known of an image once it is answered, for those who keep count of it."""

from collections.abc import Callable
from dataclasses import dataclass

from pipelines.release.predictor import Predictor, Reading
from serving.schemas import Prediction


@dataclass(frozen=True)
class Answered:
    """One image and its answer."""

    request_id: str
    client: str | None
    """Name of the token it was asked with; ``None`` where none is needed."""
    address: str | None
    """The client's, as far as a proxy tells."""
    path: str
    predictor: Predictor
    reading: Reading
    prediction: Prediction
    seconds: float
    """Since the request began."""


Observer = Callable[[Answered], None]
"""Takes note of an answer, on the event loop: returns at once and never raises."""
