"""What is kept of an answer of the service; `pipelines.monitoring.served` stores it.

This module does without pyarrow, which takes 27 MB of each of the service's workers.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Model:
    """The model that answered."""

    dataset: str
    version: int | None
    """In the registry; ``None`` before it has one."""
    run_id: str
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Sample:
    """One answer."""

    request_id: str
    time: datetime
    """In UTC."""
    model: Model
    predicted: str
    """The class decided for."""
    abstained: bool
    probabilities: NDArray[np.float32]
    """(classes,), in the order of the model's outputs."""
    features: NDArray[np.float32]
    """(k,), the mean of the last feature map over all its cells."""
    mean: float
    std: float
    """Of the decoded picture's grey shades, 0 to 255, as in a snapshot's index."""
    width: int
    height: int
    """Of the decoded picture, in pixels."""
    sha256: str
    """Of the bytes that came: an image that lands later, with its label, is known by it."""


def divided(samples: Iterable[Sample]) -> list[list[Sample]]:
    """Samples by model and day: those of one file each."""
    groups: dict[tuple[Model, date], list[Sample]] = {}
    for sample in samples:
        groups.setdefault((sample.model, sample.time.date()), []).append(sample)
    return list(groups.values())
