"""Works the queue off: asks the service for each job's answer, again and again until it has ended.

The service answers a job as it answers ``/predict``: by its champion, within its limits, with its
audit log. This process holds no model and sees no image. PgQueuer gives it jobs in their order,
with a heartbeat; those of a killed process are given again once their heartbeats are missing.

Urgent jobs have places of their own (``queue_at_once``), so they wait for other urgent ones only,
and however many of them come, normal ones go on.
"""

import asyncio
import logging
import random
import signal
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

import httpx
from pgqueuer import Job as Entry
from pgqueuer import QueueManager, RetryRequested
from pgqueuer.queries import Queries

from pipelines.errors import DatabaseUnavailable
from pipelines.jobs.figures import figures_file, show
from pipelines.jobs.table import NORMAL, NOTIFY, URGENT, Jobs
from pipelines.jobs.webhook import notify
from pipelines.service_client import bearer, trusted
from pipelines.settings import Settings

logger = logging.getLogger(__name__)

Work = Callable[[Entry], Awaitable[str | None]]
"""Does something for an entry; why it is not done, if it is not."""
HEARTBEAT = timedelta(seconds=10)
"""A job whose process has been silent for so long is given to another."""
POLL = timedelta(seconds=5)
"""How often the database is asked for jobs that no notification has told of."""
ANSWER_MARGIN = 10
"""Seconds by which the service's own limit comes first."""
MOST_DELAY = 300
"""Seconds between two tries at most."""
NOTICES = 16
"""How often a notice is sent before it is given up: for some 40 minutes."""
SWEEP_SECONDS = 5.0


class QueueWorker:
    """The process ``queue`` of the stack.

    Args:
        settings: the installation's.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._jobs = Jobs(settings)

    async def run(self) -> None:
        """Work until SIGTERM.

        Raises:
            DatabaseUnavailable: PostgreSQL does not answer (any more): start again.
        """
        manager = QueueManager(Queries.from_asyncpg_pool(await self._jobs.pool()))
        for name, at_once in (URGENT, 1), (NORMAL, 1), (NOTIFY, 2):
            limit = at_once * self._settings.queue_at_once
            work = partial(self._until_done, self._notify if name == NOTIFY else self._answer)
            manager.entrypoint(name, concurrency_limit=limit, accepts_context=False)(work)
        loop = asyncio.get_running_loop()
        for number in signal.SIGTERM, signal.SIGINT:
            loop.add_signal_handler(number, manager.shutdown.set)
        async with httpx.AsyncClient(
            base_url=self._settings.service,
            timeout=self._settings.service_answer_seconds + ANSWER_MARGIN,
            verify=trusted(self._settings.service_ca),
            trust_env=False,
        ) as self._service:
            sweeping = asyncio.create_task(self._sweep(manager.shutdown))
            try:
                await manager.run(
                    heartbeat_timeout=HEARTBEAT,
                    dequeue_timeout=POLL,
                    log_aggregation_interval=timedelta(0),  # statistics that nobody reads
                )
            finally:
                manager.shutdown.set()
                await sweeping

    async def _until_done(
        self, work: Callable[[Entry], Awaitable[str | None]], entry: Entry
    ) -> None:
        """Do the work of an entry; whatever is in its way, PgQueuer gives it again.

        Raises:
            RetryRequested: it is not done.
        """
        try:
            reason = await work(entry)
        except Exception as error:
            logger.info("job %s: %s: %s", _id(entry), type(error).__name__, error)
            reason = type(error).__name__
        if reason:
            # At random within a factor of two: what a pause has stopped does not come all at once.
            seconds = min(2.0**entry.attempts, MOST_DELAY) * random.uniform(0.5, 1)
            raise RetryRequested(timedelta(seconds=seconds), reason)

    async def _answer(self, entry: Entry) -> str | None:
        """Let the service answer a job; why it has not ended, if it has not."""
        headers = bearer(self._settings.home)
        reply = await self._service.post(f"/jobs/{_id(entry)}/answer", headers=headers)
        ended = reply.status_code == httpx.codes.NO_CONTENT
        return None if ended else f"the service answers {reply.status_code}"

    async def _notify(self, entry: Entry) -> str | None:
        """Send the notice of a job that has ended; why it was not taken, if it was not."""
        job = await self._jobs.find(_id(entry))
        if job is None or await notify(self._settings, job):
            return None
        if entry.attempts + 1 >= NOTICES:
            logger.warning("job %s: its notice was not taken; given up", job.id)
            return None
        return "the notice was not taken"

    async def _sweep(self, ends: asyncio.Event) -> None:
        """Let jobs expire, and say how many wait; ends with the queue or the database."""
        while not ends.is_set():
            try:
                await self._jobs.sweep()
                figures = await self._jobs.figures()
            except DatabaseUnavailable as error:
                logger.error("%s", error)
                ends.set()
                return
            await asyncio.to_thread(show, figures_file(self._settings), figures)
            try:
                await asyncio.wait_for(ends.wait(), SWEEP_SECONDS)
            except TimeoutError:
                continue


def _id(entry: Entry) -> str:
    return (entry.payload or b"").decode()
