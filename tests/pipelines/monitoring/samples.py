"""Samples of answers that nobody gave."""

from datetime import UTC, datetime, timedelta

import numpy as np

from pipelines.monitoring.samples import Model, Sample
from pipelines.monitoring.served import write_file
from pipelines.storage import Store

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIRST = Model("tiny", 1, "run-1", ("a", "b"))
SECOND = Model("tiny", 2, "run-2", ("a", "c"))


def sample(number: int, model: Model = FIRST, *, time: datetime = NOON) -> Sample:
    """One answer, told from others by its number."""
    return Sample(
        request_id=f"{number:016x}",
        time=time,
        model=model,
        predicted=model.classes[0],
        abstained=number % 2 == 1,
        probabilities=np.array([0.75, 0.25], np.float32),
        features=np.arange(4, dtype=np.float32) + number,
        mean=100.5,
        std=20.25,
        width=60,
        height=40,
        sha256=f"{number:064x}",
    )


def write(store: Store, numbers: range, model: Model = FIRST, *, minutes: float = 0) -> str:
    """A file of answers, some minutes after noon; its name."""
    time = NOON + timedelta(minutes=minutes)
    path = write_file(store, [sample(number, model, time=time) for number in numbers])
    return path.rpartition("/")[2]
