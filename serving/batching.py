"""Adaptive batching: images that wait for the model at the same time are classified at once.

The batches are formed by BentoML's dispatcher, which is what ``batchable=True`` uses. An API method
with ``batchable=True`` could not take it from here: BentoML's route would decode the request itself
(`serving.service`), and a batch could not hold images for two models, as it does during a swap.
"""

from collections.abc import Sequence
from functools import partial

from bentoml._internal.marshal.dispatcher import CorkDispatcher

from pipelines.release.predictor import Picture, Predictor, Reading
from serving.context import Problem
from serving.executor import InferenceExecutor
from serving.metrics import count_model_batch

MOST = 16
"""Images of a batch."""

Waiting = tuple[Predictor, Picture]


class Batcher:
    """Asks models about batches, in a thread of an executor.

    Args:
        executor: whose threads are used.
        wait_seconds: an image that is expected to wait longer for its answer is refused.
    """

    def __init__(self, executor: InferenceExecutor, *, wait_seconds: float) -> None:
        self._executor = executor
        self._dispatcher = CorkDispatcher[Waiting, Reading](
            max_latency_in_ms=round(wait_seconds * 1000),
            max_batch_size=MOST,
            fallback=_refuse,
            get_batch_size=lambda _: 1,
        )
        self._judge_soon = self._dispatcher(self._judge)

    async def judge(self, predictor: Predictor, picture: Picture) -> Reading:
        """Classify an image together with others.

        Raises:
            Problem: it would wait too long (503).
        """
        reading: Reading = await self._judge_soon((predictor, picture))
        return reading

    def close(self) -> None:
        """Form no more batches."""
        self._dispatcher.shutdown()

    async def _judge(self, waiting: Sequence[Waiting]) -> list[Reading]:
        return await self._executor.run(partial(judge_each, waiting))


def judge_each(waiting: Sequence[Waiting]) -> list[Reading]:
    """Classify images, those of one model at once; readings in their order."""
    found: dict[int, Reading] = {}
    for predictor in {id(predictor): predictor for predictor, _ in waiting}.values():
        places = [place for place, (asked, _) in enumerate(waiting) if asked is predictor]
        count_model_batch(len(places))
        readings = predictor.judge([waiting[place][1] for place in places])
        found.update(zip(places, readings, strict=True))
    return [found[place] for place in range(len(waiting))]


def _refuse() -> Reading:
    message = "More is asked of this service than it can do. Ask again later."
    raise Problem(503, "overloaded", message, headers={"Retry-After": "1"})
