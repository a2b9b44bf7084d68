"""The queue of jobs: a database in PostgreSQL, and the process that works it off."""

import asyncio
import sys
import time
from importlib.metadata import version

from pipelines import database
from pipelines.jobs.figures import SILENT_SECONDS, figures_file
from pipelines.jobs.table import DATABASE, Jobs, make_tables
from pipelines.settings import Settings
from stack.part import Part, Process, Say


def part(settings: Settings) -> Part:
    """``python -m pipelines.jobs``. It needs no service to start: it asks until one answers."""
    return Part(
        name="queue",
        needs=["postgres"],
        prepare=lambda say: _prepare(settings, say),
        processes=[
            Process(
                name="queue",
                command=[sys.executable, "-m", "pipelines.jobs"],
                version=lambda: version("pgqueuer"),
                obstacle=lambda started: _obstacle(settings, started),
            )
        ],
    )


def _prepare(settings: Settings, say: Say) -> None:
    say("bringing the tables of the queue up to date")
    database.create(settings, DATABASE)

    async def make() -> None:
        jobs = Jobs(settings)
        await make_tables(jobs)
        await jobs.close()

    asyncio.run(make())


def _obstacle(settings: Settings, started: int) -> str | None:
    """It has no port: its metrics, which it writes once it works, tell."""
    file = figures_file(settings)
    written = file.stat().st_mtime if file.exists() else 0.0
    if written + 1 < started:
        return "it has not asked the database yet"
    return "it hangs" if time.time() - written > SILENT_SECONDS else None
