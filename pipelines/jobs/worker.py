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
from datetime import timedelta
from pathlib import Path

import httpx
from pgqueuer import Job as Entry
from pgqueuer import QueueManager, RetryRequested
from pgqueuer.queries import Queries

from pipelines.errors import DatabaseUnavailable
from pipelines.jobs.table import NORMAL, NOTIFY, URGENT, Figures, Jobs
from pipelines.jobs.webhook import notify
from pipelines.service_client import bearer, trusted
from pipelines.settings import Settings

logger = logging.getLogger(__name__)

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
        heartbeat: see `HEARTBEAT`.
    """

    def __init__(self, settings: Settings, *, heartbeat: timedelta = HEARTBEAT) -> None:
        self._settings = settings
        self._heartbeat = heartbeat
        self._jobs = Jobs(settings)

    async def run(self) -> None:
        """Work until SIGTERM.

        Raises:
            DatabaseUnavailable: PostgreSQL does not answer (any more): start again.
        """
        manager = QueueManager(Queries.from_asyncpg_pool(await self._jobs.pool()))
        for name, at_once in (URGENT, 1), (NORMAL, 1), (NOTIFY, 2):
            limit = at_once * self._settings.queue_at_once
            work = self._notify if name == NOTIFY else self._answer
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
                await manager.run(heartbeat_timeout=self._heartbeat, dequeue_timeout=POLL)
            finally:
                manager.shutdown.set()
                await sweeping

    async def _answer(self, entry: Entry) -> None:
        """Let the service answer a job; 204 says that it has ended.

        Raises:
            RetryRequested: it has not.
        """
        job = (entry.payload or b"").decode()
        try:
            reply = await self._service.post(
                f"/jobs/{job}/answer", headers=bearer(self._settings.home)
            )
        except httpx.TransportError as error:
            raise _again(entry, f"the service does not answer ({type(error).__name__})") from error
        if reply.status_code != httpx.codes.NO_CONTENT:
            raise _again(entry, f"the service answers {reply.status_code}")

    async def _notify(self, entry: Entry) -> None:
        job = await self._jobs.find((entry.payload or b"").decode())
        if job is None or await notify(self._settings, job):
            return
        if entry.attempts + 1 >= NOTICES:
            logger.warning("job %s: its notice was not taken; given up", job.id)
            return
        raise _again(entry, "the notice was not taken")

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


def _again(entry: Entry, reason: str) -> RetryRequested:
    """Try a job again, later each time; at random within a factor of two, so that the jobs that a
    pause has stopped do not all come at once."""
    seconds = min(2.0**entry.attempts, MOST_DELAY) * random.uniform(0.5, 1)
    return RetryRequested(timedelta(seconds=seconds), reason)


def figures_file(settings: Settings) -> Path:
    """Where the queue's metrics are; the watch serves them, and they show that it works."""
    return settings.metrics / "queue.prom"


def show(file: Path, figures: Figures) -> None:
    """Write the queue's metrics for Prometheus."""
    from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

    registry = CollectorRegistry()

    def gauge(name: str, text: str, value: float) -> None:
        Gauge(f"medloop_queue_{name}", text, registry=registry).set(value)

    gauge("waiting_jobs", "Jobs that have not ended.", figures.waiting)
    gauge("waiting_bytes", "Bytes of their images.", figures.bytes)
    gauge("oldest_seconds", "Age of the oldest job that has not ended.", figures.oldest_seconds)
    ended = Gauge(
        "medloop_queue_ended_jobs",
        "Jobs that have ended and are kept, by status: done, failed, expired.",
        ["status"],
        registry=registry,
    )
    for status in "done", "failed", "expired":
        ended.labels(status).set(figures.kept.get(status, 0))
    file.parent.mkdir(parents=True, exist_ok=True)
    write_to_textfile(str(file), registry)
