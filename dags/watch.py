"""The watchers of the landing folders: what Airflow's triggerer runs.

Each data set has one trigger while its landing folder starts a DAG.
`pipelines.data.land.arrivals.FolderWatcher` runs in a thread, because the triggerer's event loop
must never wait. Events use a *shared stream with acknowledgement*: Airflow calls ``advance`` when
the event is in its database, and only then is the delivery marked as announced. A triggerer that is
killed in between emits the event again; one that is killed later does not.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent
from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer

from pipelines.data.land.arrivals import Delivery, FolderWatcher
from pipelines.errors import MedloopError

logger = logging.getLogger(__name__)

AGAIN_SECONDS = 15.0
"""When a folder that could not be read is looked at again."""


class LandingTrigger(BaseEventTrigger):
    """Fires when new files in a data set's landing folder are complete.

    Args:
        dataset: the data set's name; all else stands in its spec, read at each look.
    """

    def __init__(self, dataset: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.dataset = dataset

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{__name__}.{type(self).__name__}", {"dataset": self.dataset}

    def shared_stream_key(self) -> tuple[str, str]:
        return ("landing", self.dataset)

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> SharedStreamProducer:
        return Deliveries(kwargs["dataset"])

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[dict[str, Any]]
    ) -> AsyncIterator[TriggerEvent]:
        async for event in shared_stream:
            yield TriggerEvent(event)  # type: ignore[no-untyped-call]

    def run(self) -> AsyncIterator[TriggerEvent]:
        """Not used: Airflow takes the shared stream where there is one."""
        raise NotImplementedError


class Deliveries(SharedStreamProducer):
    """The deliveries of one data set, one after the other, each until it is announced.

    Args:
        dataset: the data set's name.
    """

    def __init__(self, dataset: str) -> None:
        self._watch = FolderWatcher(dataset)
        self._resolved = asyncio.Event()

    async def open_stream(self) -> AsyncIterator[tuple[dict[str, Any], Delivery]]:
        while True:
            delivery = await self._look()
            if delivery:
                self._resolved.clear()
                yield _event(delivery), delivery
                await self._resolved.wait()
            await asyncio.sleep(self._watch.interval)

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        try:
            for delivery, outcome in batch:
                if outcome.is_clean:
                    await asyncio.to_thread(self._watch.mark_announced, delivery)
        except Exception:
            logger.exception("cannot note a delivery; it is announced again after a restart")
        finally:
            self._resolved.set()

    async def _look(self) -> Delivery | None:
        try:
            return await asyncio.to_thread(self._watch.check)
        except MedloopError as error:
            logger.warning("%s; looking again in %g s", error, AGAIN_SECONDS)
        except Exception:
            # The watcher outlives its mistakes: nobody would start it again.
            logger.exception("cannot look; again in %g s", AGAIN_SECONDS)
        self._watch.interval = AGAIN_SECONDS
        return None


def _event(delivery: Delivery) -> dict[str, Any]:
    return {
        "dataset": delivery.dataset,
        "landing": delivery.location,
        "new_files": len(delivery.files),
    }
