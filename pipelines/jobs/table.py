"""The jobs, in a database of their own: what was asked, the image until it is answered, the answer.

One row is one job. Every change is one statement or one transaction, and a job ends by one
``UPDATE`` that requires it not to have ended: it ends once, whoever is killed and however often it
is tried. PgQueuer's entries hold a job's ID and nothing else; they are made in the same transaction
as the row.

The database is not part of backups: images of patients would stay in them.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from pipelines import database
from pipelines.errors import DatabaseUnavailable, MedloopError
from pipelines.jobs.figures import Figures
from pipelines.settings import Settings

if TYPE_CHECKING:
    import asyncpg  # loaded by the first job, as PgQueuer is

DATABASE = "queue"
URGENT, NORMAL, NOTIFY = "urgent", "normal", "notify"
"""PgQueuer's entry points: two kinds of jobs, and notices that a job has ended."""
SECONDS = 10.0
"""How long the database may take to connect, and for one statement."""
CONNECTIONS = 4
"""Of one process."""
SUBMITTING = 3_000_001
"""PostgreSQL's advisory lock of those who submit: one at a time, so that limits and keys hold."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id text PRIMARY KEY,
    owner text,
    key text,
    asked text NOT NULL,
    urgent boolean NOT NULL,
    notify text,
    image bytea,
    sha256 text NOT NULL,
    bytes integer NOT NULL,
    status text NOT NULL DEFAULT 'waiting',
    attempts integer NOT NULL DEFAULT 0,
    submitted timestamptz NOT NULL DEFAULT now(),
    ended timestamptz,
    result text,
    refused_status integer,
    refused_code text,
    refused_message text
);
ALTER TABLE jobs ALTER COLUMN image SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX IF NOT EXISTS jobs_key ON jobs (coalesce(owner, ''), key) WHERE key IS NOT NULL;
CREATE INDEX IF NOT EXISTS jobs_open ON jobs (submitted) WHERE ended IS NULL;
CREATE INDEX IF NOT EXISTS jobs_ended ON jobs (ended) WHERE ended IS NOT NULL;
"""
# EXTERNAL: images are compressed already.
COLUMNS = """id, owner, asked, urgent, notify, sha256, bytes, status, attempts, submitted, ended,
    refused_status, refused_code, refused_message"""
Status = Literal["waiting", "running", "done", "failed", "expired"]


class QueueFull(MedloopError):
    """Too many jobs wait, or too many bytes."""


@dataclass(frozen=True)
class NewJob:
    """A job as it is submitted."""

    id: str
    owner: str | None
    """Name of the token it came with; ``None`` where no token is needed."""
    key: str | None
    """The client's own name of it: a job that is sent twice under one key is one job."""
    asked: str
    """The request's fields, as JSON."""
    urgent: bool
    notify: str | None
    """URL that hears when it has ended."""
    image: bytes
    sha256: str
    """Of the image."""


@dataclass(frozen=True)
class Job:
    """A job as it is stored, without its image and result."""

    id: str
    owner: str | None
    asked: str
    urgent: bool
    notify: str | None
    sha256: str
    bytes: int
    status: Status
    attempts: int
    """How often an answer was begun."""
    submitted: datetime
    ended: datetime | None
    refused_status: int | None
    """The HTTP status that ``/predict`` would have refused it with, if it failed."""
    refused_code: str | None
    refused_message: str | None


class Jobs:
    """The table of jobs; connects when it is first used, on the event loop that uses it.

    Every method raises DatabaseUnavailable: PostgreSQL does not answer, or the queue's tables are
    not there yet.

    Args:
        settings: the installation's.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._pool: asyncpg.Pool | None = None
        self._connecting = asyncio.Lock()

    async def pool(self) -> "asyncpg.Pool":
        """Connections to the database; the password comes from ``PGPASSWORD`` or ``PGPASSFILE``."""
        async with self._connecting:
            if self._pool is None:
                # 0.2 s and 5 MB, which a service without jobs does without
                await asyncio.to_thread(import_module, "pgqueuer.queries")
                import asyncpg

                async with _reaching(self.settings):
                    self._pool = await asyncpg.create_pool(
                        host=database.host(self.settings),
                        user=database.SUPERUSER,
                        database=DATABASE,
                        min_size=0,
                        max_size=CONNECTIONS,
                        timeout=SECONDS,
                        command_timeout=SECONDS,
                    )
        return self._pool

    async def close(self) -> None:
        """Close the connections."""
        if self._pool is not None:
            self._pool.terminate()
            self._pool = None

    async def submit(self, new: NewJob) -> Job:
        """Store a job, or find the one that was stored under its key before.

        Raises:
            QueueFull: too much waits already.
        """
        async with self._transaction() as connection:
            await connection.execute("SELECT pg_advisory_xact_lock($1)", SUBMITTING)
            row = await connection.fetchrow(
                f"SELECT {COLUMNS} FROM jobs WHERE owner IS NOT DISTINCT FROM $1 AND key = $2",
                *(new.owner, new.key),
            )
            if row:
                return _job(row)
            await self._require_room(connection, len(new.image))
            row = await connection.fetchrow(
                f"""INSERT INTO jobs (id, owner, key, asked, urgent, notify, image, sha256, bytes)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING {COLUMNS}""",
                *(new.id, new.owner, new.key, new.asked, new.urgent, new.notify),
                *(new.image, new.sha256, len(new.image)),
            )
            await _enqueue(connection, URGENT if new.urgent else NORMAL, new.id)
            return _job(row)

    async def find(self, job: str) -> Job | None:
        """A job; ``None`` if there is none (any more)."""
        row = await self._row(f"SELECT {COLUMNS} FROM jobs WHERE id = $1", job)
        return _job(row) if row else None

    async def result(self, job: str) -> str | None:
        """The JSON answer of a job that is done."""
        row = await self._row("SELECT result FROM jobs WHERE id = $1", job)
        return row["result"] if row else None

    async def begin(self, job: str) -> tuple[Job, bytes] | None:
        """A job that has not ended, to be answered now, and its image; ``None`` if it has."""
        row = await self._row(
            f"""UPDATE jobs SET status = 'running', attempts = attempts + 1
            WHERE id = $1 AND ended IS NULL RETURNING {COLUMNS}, image""",
            job,
        )
        return (_job(row), row["image"]) if row else None

    async def put_back(self, job: str) -> None:
        """Let a job wait again that could not be answered now; that is no attempt."""
        await self._row(
            """UPDATE jobs SET status = 'waiting', attempts = attempts - 1
            WHERE id = $1 AND status = 'running'""",
            job,
        )

    async def finish(self, job: str, result: str) -> bool:
        """End a job with its answer; whether it had not ended before."""
        return await self._end(job, "done", result, None, None, None)

    async def fail(self, job: str, *, status: int, code: str, message: str) -> bool:
        """End a job that is refused; whether it had not ended before."""
        return await self._end(job, "failed", None, status, code, message)

    async def remove(self, job: str) -> Job | None:
        """Remove a job, its image and its result, whatever its status was."""
        row = await self._row(f"DELETE FROM jobs WHERE id = $1 RETURNING {COLUMNS}", job)
        return _job(row) if row else None

    async def sweep(self) -> None:
        """End the jobs that have waited too long, remove those that have ended long ago, and give
        PgQueuer those again that it has lost (where the database fails while it gives one back).
        """
        from pgqueuer.queries import Queries

        async with self._transaction() as connection:
            expired = await connection.fetch(
                """UPDATE jobs SET status = 'expired', image = NULL, ended = now()
                WHERE ended IS NULL AND submitted < now() - $1 * interval '1 hour'
                RETURNING id, notify""",
                self.settings.queue_wait_hours,
            )
            for row in expired:
                if row["notify"]:
                    await _enqueue(connection, NOTIFY, row["id"])
            await connection.execute(
                "DELETE FROM jobs WHERE ended < now() - $1 * interval '1 hour'",
                self.settings.queue_keep_hours,
            )
            lost = await connection.fetch(
                """SELECT id, urgent FROM jobs WHERE ended IS NULL
                AND submitted < now() - interval '1 minute'
                AND convert_to(id, 'UTF8') NOT IN (SELECT payload FROM pgqueuer)"""
            )
            for row in lost:
                await _enqueue(connection, URGENT if row["urgent"] else NORMAL, row["id"])
            # its log grows without a limit otherwise
            queries = Queries.from_asyncpg_connection(connection)
            await queries.clear_queue_log([URGENT, NORMAL, NOTIFY])

    async def figures(self) -> Figures:
        """How much waits, for how long, and how jobs have ended."""
        async with self._transaction() as connection:
            row = await connection.fetchrow(
                """SELECT count(*) AS waiting, coalesce(sum(bytes), 0)::bigint AS bytes,
                coalesce(extract(epoch FROM now() - min(submitted)), 0)::float8 AS oldest
                FROM jobs WHERE ended IS NULL"""
            )
            ended = await connection.fetch(
                "SELECT status, count(*) AS jobs FROM jobs WHERE ended IS NOT NULL GROUP BY status"
            )
        kept = {row["status"]: row["jobs"] for row in ended}
        return Figures(row["waiting"], row["bytes"], row["oldest"], kept)

    async def _require_room(self, connection: "asyncpg.Connection", size: int) -> None:
        row = await connection.fetchrow(
            """SELECT count(*) AS jobs, coalesce(sum(bytes), 0)::bigint AS bytes
            FROM jobs WHERE ended IS NULL"""
        )
        jobs, megabytes = self.settings.queue_jobs, self.settings.queue_megabytes
        if row["jobs"] >= jobs or row["bytes"] + size > megabytes * 1e6:
            raise QueueFull(
                f"{row['jobs']} jobs with {row['bytes'] / 1e6:.0f} MB wait; at most {jobs} with "
                f"{megabytes:g} MB may. Submit it again later."
            )

    async def _end(
        self,
        job: str,
        status: Status,
        result: str | None,
        refused_status: int | None,
        code: str | None,
        message: str | None,
    ) -> bool:
        async with self._transaction() as connection:
            row = await connection.fetchrow(
                """UPDATE jobs SET status = $2, result = $3, refused_status = $4,
                refused_code = $5, refused_message = $6, image = NULL, ended = now()
                WHERE id = $1 AND ended IS NULL RETURNING notify""",
                *(job, status, result, refused_status, code, message),
            )
            if row and row["notify"]:
                await _enqueue(connection, NOTIFY, job)
        return row is not None

    async def _row(self, sql: str, *values: Any) -> Mapping[str, Any] | None:
        async with self._transaction() as connection:
            row: Mapping[str, Any] | None = await connection.fetchrow(sql, *values)
        return row

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator["asyncpg.Connection"]:
        pool = await self.pool()
        async with _reaching(self.settings), pool.acquire() as connection, connection.transaction():
            yield connection


async def make_tables(jobs: Jobs) -> None:
    """Make the tables of the jobs and of PgQueuer, or bring older ones up to date.

    Raises:
        DatabaseUnavailable: PostgreSQL does not answer.
    """
    from pgqueuer.queries import Queries

    async with _reaching(jobs.settings), (await jobs.pool()).acquire() as connection:
        queries = Queries.from_asyncpg_connection(connection)
        if await queries.schema_is_installed():
            await queries.upgrade()
        else:
            await queries.install()
        await connection.execute(SCHEMA)


async def _enqueue(connection: "asyncpg.Connection", entry_point: str, job: str) -> None:
    """Give a job to PgQueuer, in the transaction of the connection."""
    from pgqueuer.queries import Queries

    await Queries.from_asyncpg_connection(connection).enqueue(entry_point, job.encode())


def _job(row: Mapping[str, Any]) -> Job:
    return Job(**{name: row[name] for name in Job.__dataclass_fields__})


@asynccontextmanager
async def _reaching(settings: Settings) -> AsyncIterator[None]:
    """Raises DatabaseUnavailable: PostgreSQL does not do what it is asked."""
    import asyncpg

    try:
        yield
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise DatabaseUnavailable(
            f"The queue's database does not answer at {database.host(settings)} "
            f"({type(error).__name__}: {error}). Is the stack up (medloop stack status)?"
        ) from error
