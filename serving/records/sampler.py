"""Takes a share of the answers for monitoring, off the request path.

An answer is handed to a thread, which takes the little of it that is kept (no pixels, nothing
that names a person) and lets the rest go. Another writes samples to the store in batches: a few
large files rather than many small ones, as HDFS keeps every file's name in memory. Where the store
is away, the newest `KEPT` samples wait, about 25 MB for a model of 1,280 features; older ones are
lost, counted as ``medloop_samples{outcome="lost"}`` and logged. A process that is killed loses
what it had not written yet.
"""

import logging
import queue
import random
import threading
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module

import numpy as np

from pipelines.imaging.shades import grey_level
from pipelines.monitoring.samples import Model, Sample, divided
from pipelines.settings import Settings
from pipelines.storage import Store
from serving.metrics import count_samples
from serving.records import Answered

logger = logging.getLogger(__name__)

IN_HAND = 8
"""Answers, with their pictures, that may wait for the thread."""
BATCH = 1_000
"""Samples that are written at once, however recent the last file is."""
KEPT = 5_000
"""Samples that wait for a store that is away, at most."""
RETRY_SECONDS = 30.0
STOP_SECONDS = 5.0
"""How long `Batches.stop` waits for the last file."""


class Batches:
    """Where samples wait until they are written.

    Args:
        store: where they are written.
        every_seconds: how often, if there are any.
    """

    def __init__(self, store: Store, *, every_seconds: float) -> None:
        self._store = store
        self._every_seconds = every_seconds
        self._samples: deque[Sample] = deque()
        self._changing = threading.Lock()
        self._stopping = threading.Event()
        self._due = threading.Event()
        self._is_away = False
        self._thread = threading.Thread(target=self._write_on, name="samples", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what is there, and end."""
        self._stopping.set()
        self._due.set()
        self._thread.join(STOP_SECONDS)
        with self._changing:
            if self._samples:
                logger.warning("%d samples were not written and are lost", len(self._samples))
            self._lose(len(self._samples))

    def put(self, sample: Sample) -> None:
        """Add a sample; the oldest is lost if there are too many."""
        # Its import of pyarrow takes longer than `stop` waits, on a busy machine: so it comes with
        # the first sample, not with the first file. A worker without samples saves 27 MB.
        import_module("pipelines.monitoring.served")
        with self._changing:
            self._samples.append(sample)
            self._lose(len(self._samples) - KEPT)
            if len(self._samples) >= BATCH and not self._is_away:
                self._due.set()

    def _write_on(self) -> None:
        is_last = False
        while not is_last:
            self._due.wait(RETRY_SECONDS if self._is_away else self._every_seconds)
            self._due.clear()
            is_last = self._stopping.is_set()
            self._write()

    def _write(self) -> None:
        """Write all there is; what the store does not take goes on waiting."""
        with self._changing:
            groups = divided(self._samples)
            self._samples.clear()
        if not groups:
            return
        from pipelines.monitoring.served import write_file

        try:
            while groups:
                write_file(self._store, groups[0])
                count_samples("written", len(groups.pop(0)))
        except Exception as error:  # whatever ails the store, the next try may succeed
            self._put_back(groups)
            self._tell(error)
        else:
            self._tell_back()

    def _put_back(self, groups: list[list[Sample]]) -> None:
        samples = sorted((s for group in groups for s in group), key=lambda s: s.time)
        with self._changing:
            self._samples.extendleft(reversed(samples))
            self._lose(len(self._samples) - KEPT)

    def _lose(self, count: int) -> None:
        """Let go of the oldest samples, if ``count`` is above 0."""
        for _ in range(count):
            self._samples.popleft()
        if count > 0:
            count_samples("lost", count)

    def _tell(self, error: Exception) -> None:
        if not self._is_away:
            logger.warning("Samples cannot be written; the newest %d wait: %s", KEPT, error)
        self._is_away = True

    def _tell_back(self) -> None:
        if self._is_away:
            logger.info("Samples are written again")
        self._is_away = False


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
