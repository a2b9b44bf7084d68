"""Takes a share of the answers for monitoring, off the request path.

An answer is handed to a thread, which takes the little of it that is kept (no pixels, nothing
that names a person) and lets the rest go; `serving.records.batches` brings it to the store.
"""

import logging
import queue
import random
import threading
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from pipelines.imaging.shades import grey_level
from pipelines.monitoring.served import Model, Sample
from pipelines.settings import Settings
from pipelines.storage import Store
from serving.metrics import count_samples
from serving.observed import Answered
from serving.records.batches import Batches

logger = logging.getLogger(__name__)

IN_HAND = 8
"""Answers, with their pictures, that may wait for the thread."""


@dataclass(frozen=True)
class _Taken:
    """An answer that was chosen, and when."""

    answered: Answered
    time: datetime


class Sampler:
    """The samples of one worker.

    Args:
        batches: where they are brought to.
        share: of the answers, 0 to 1.
    """

    def __init__(self, batches: Batches, *, share: float) -> None:
        self._batches = batches
        self._share = share
        self._chance = random.Random()
        self._in_hand: queue.Queue[_Taken | None] = queue.Queue(IN_HAND)
        self._thread = threading.Thread(target=self._reduce, name="sampler", daemon=True)

    @classmethod
    def of(cls, settings: Settings, store: Store) -> "Sampler":
        """The sampler of an installation."""
        batches = Batches(store, every_seconds=settings.service_sample_seconds)
        return cls(batches, share=settings.service_sample_share)

    def start(self) -> None:
        """Begin to work."""
        self._batches.start()
        self._thread.start()

    def stop(self) -> None:
        """Write what is there, and end."""
        self._in_hand.put(None)
        self._thread.join()
        self._batches.stop()

    def note(self, answered: Answered) -> None:
        """Keep an answer, by chance; an `Observer`."""
        if self._chance.random() >= self._share:
            return
        try:
            self._in_hand.put_nowait(_Taken(answered, datetime.now(UTC)))
        except queue.Full:
            count_samples("lost", 1)

    def _reduce(self) -> None:
        while taken := self._in_hand.get():
            try:
                self._batches.put(sample_of(taken.answered, taken.time))
            except Exception:  # one answer that cannot be reduced must not end the rest
                logger.exception("request %s: no sample", taken.answered.context.request_id)
                count_samples("lost", 1)
            del taken  # and with it the picture, until the next one comes


def sample_of(answered: Answered, time: datetime) -> Sample:
    """The little of an answer that is kept."""
    reading, manifest = answered.reading, answered.predictor.bundle.manifest
    mean, std = grey_level(reading.picture)
    height, width = reading.picture.shape[:2]
    return Sample(
        request_id=answered.context.request_id,
        time=time,
        model=Model(
            manifest.dataset, manifest.model_version, manifest.run_id, manifest.class_names
        ),
        predicted=answered.prediction.class_name,
        abstained=answered.prediction.abstained,
        probabilities=reading.probabilities,
        features=np.asarray(reading.features.mean(axis=(0, 1)), np.float32),
        mean=mean,
        std=std,
        width=width,
        height=height,
        sha256=reading.sha256,
    )
