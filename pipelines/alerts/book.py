"""What was told and what is still to be delivered, for all processes of an installation.

One SQLite file, ``$MEDLOOP_HOME/alerts/alerts.sqlite``: tasks run in many processes, any of which
may be killed at any time. A notice enters the outbox in the same transaction that marks its
trouble as told, and leaves it once its channel has taken it. Who delivers one holds it for a
while; if they die, somebody else delivers it, perhaps a second time.
"""

import socket
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from pipelines.alerts.alert import Alert, Severity
from pipelines.alerts.notice import Notice
from pipelines.settings import Settings

SECONDS_BUSY = 5.0
"""How long another process's transaction is waited for; they take milliseconds."""
SECONDS_HELD = 120.0
"""How long a notice belongs to who delivers it."""
DELAYS = (1, 30, 120, 600)
"""Seconds after a failed delivery, after the next one, and so on; the last for all others."""
DAYS_KEPT = 7
"""How long delivery of a notice is tried."""
DAYS_OPEN = 7
"""How long a trouble that nobody has seen again, or said to be over, counts as open: a version
that was refused stays refused, but is no news."""
WEIGHTS: dict[Severity, int] = {"info": 0, "warning": 1, "critical": 2}

VERSION = 1
"""Of the tables."""
TABLES = (
    "CREATE TABLE troubles (key TEXT PRIMARY KEY, alert TEXT NOT NULL, since REAL NOT NULL,"
    " told REAL NOT NULL, seen INTEGER NOT NULL, last REAL NOT NULL)",
    "CREATE TABLE outbox (id INTEGER PRIMARY KEY, channel TEXT NOT NULL, key TEXT NOT NULL,"
    " notice TEXT NOT NULL, made REAL NOT NULL, due REAL NOT NULL,"
    " tries INTEGER NOT NULL DEFAULT 0, error TEXT)",
)


@dataclass(frozen=True)
class Waiting:
    """A notice that a channel has not taken yet."""

    id: int
    channel: str
    notice: Notice
    tries: int
    error: str | None
    """Why not, if it was tried."""


class Book:
    """The file, open.

    Args:
        settings: whose book it is.
        now: the time, seconds since the epoch; the machine's if ``None``.

    Raises:
        sqlite3.Error, OSError: the file cannot be read or written.
    """

    def __init__(self, settings: Settings, *, now: float | None = None) -> None:
        folder = settings.home / "alerts"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Private by its folder. Nothing but SQLite may open the file: to close it anywhere in a
        # process gives up all locks that the process has on it.
        path = folder / "alerts.sqlite"
        self._now = now if now is not None else datetime.now(UTC).timestamp()
        self._repeat = settings.alert_repeat_hours * 3600
        self._file = sqlite3.connect(path, timeout=SECONDS_BUSY, isolation_level=None)
        self._make_tables()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()

    def report(self, alert: Alert, channels: Sequence[str]) -> bool:
        """Note that a trouble was seen; put a notice of it in the outbox if it is to be told.

        It is told when it is new, has become worse, or was told long ago.
        """
        with self._transaction():
            self._forget()
            known = self._file.execute(
                "SELECT alert, since, told, seen FROM troubles WHERE key = ?", [alert.key]
            ).fetchone()
            if known is None:
                self._file.execute(
                    "INSERT INTO troubles VALUES (?, ?, ?, ?, 0, ?)",
                    [alert.key, alert.model_dump_json(), self._now, self._now, self._now],
                )
                self._post(self._notice(alert, "begun", since=self._now), channels)
                return True
            before, since, told, seen = known
            worse = _weight(alert) > _weight(Alert.model_validate_json(before))
            if not worse and self._now - told < self._repeat:
                self._file.execute(
                    "UPDATE troubles SET seen = seen + 1, last = ? WHERE key = ?",
                    [self._now, alert.key],
                )
                return False
            self._file.execute(
                "UPDATE troubles SET alert = ?, told = ?, seen = 0, last = ? WHERE key = ?",
                [alert.model_dump_json(), self._now, self._now, alert.key],
            )
            notice = self._notice(alert, "goes on", since=since, seen=seen + 1)
            self._post(notice, channels)
            return True

    def close(self, key: str, channels: Sequence[str]) -> bool:
        """Note that a trouble is over; whether it had been told."""
        if not self._file.execute("SELECT 1 FROM troubles WHERE key = ?", [key]).fetchone():
            return False
        with self._transaction():
            gone = self._file.execute(
                "DELETE FROM troubles WHERE key = ? RETURNING alert, since", [key]
            ).fetchone()
            if gone is None:
                return False
            alert, since = Alert.model_validate_json(gone[0]), gone[1]
            self._post(self._notice(alert, "over", since=since), channels)
            return True

    def open_troubles(self) -> list[Notice]:
        """What was told and is not over, the oldest first."""
        rows = self._file.execute(
            "SELECT alert, since, seen FROM troubles WHERE last >= ? ORDER BY since",
            [self._now - DAYS_OPEN * 86400],
        )
        return [
            self._notice(Alert.model_validate_json(alert), "goes on", since=since, seen=seen)
            for alert, since, seen in rows
        ]

    def take(self, channel: str) -> Waiting | None:
        """The next notice that is due for a channel; from now on this process's to deliver.

        What is told of one trouble stays in order.
        """
        with self._transaction():
            row = self._file.execute(
                "SELECT id, channel, notice, tries, error FROM outbox AS this"
                " WHERE channel = ? AND due <= ? AND NOT EXISTS (SELECT 1 FROM outbox AS before"
                " WHERE before.channel = this.channel AND before.key = this.key"
                " AND before.id < this.id) ORDER BY due, id LIMIT 1",
                [channel, self._now],
            ).fetchone()
            if row is None:
                return None
            self._file.execute(
                "UPDATE outbox SET due = ? WHERE id = ?", [self._now + SECONDS_HELD, row[0]]
            )
            return _waiting(row)

    def delivered(self, waiting: Waiting) -> None:
        """Take a notice out of the outbox."""
        self._file.execute("DELETE FROM outbox WHERE id = ?", [waiting.id])

    def failed(self, waiting: Waiting, error: str) -> float:
        """Keep a notice for later; returns after how many seconds."""
        delay = DELAYS[min(waiting.tries, len(DELAYS) - 1)]
        self._file.execute(
            "UPDATE outbox SET due = ?, tries = tries + 1, error = ? WHERE id = ?",
            [self._now + delay, error, waiting.id],
        )
        return delay

    def waiting(self) -> list[Waiting]:
        """All that no channel has taken yet, the oldest first."""
        rows = self._file.execute(
            "SELECT id, channel, notice, tries, error FROM outbox ORDER BY id"
        )
        return [_waiting(row) for row in rows]

    def give_up(self) -> list[Waiting]:
        """Take out what has waited for more than `DAYS_KEPT` days."""
        rows = self._file.execute(
            "DELETE FROM outbox WHERE made < ? RETURNING id, channel, notice, tries, error",
            [self._now - DAYS_KEPT * 86400],
        ).fetchall()
        return [_waiting(row) for row in rows]

    def _forget(self) -> None:
        oldest = self._now - DAYS_OPEN * 86400
        self._file.execute("DELETE FROM troubles WHERE last < ?", [oldest])

    def _make_tables(self) -> None:
        if self._version() == VERSION:
            return
        with self._transaction():
            if self._version() == 0:
                for table in TABLES:
                    self._file.execute(table)
                self._file.execute(f"PRAGMA user_version = {VERSION}")
        if self._version() != VERSION:
            raise sqlite3.DatabaseError(f"it is of version {self._version()}, not {VERSION}")

    def _version(self) -> int:
        return int(self._file.execute("PRAGMA user_version").fetchone()[0])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._file.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._file.execute("ROLLBACK")
            raise
        self._file.execute("COMMIT")

    def _post(self, notice: Notice, channels: Sequence[str]) -> None:
        self._file.executemany(
            "INSERT INTO outbox (channel, key, notice, made, due) VALUES (?, ?, ?, ?, ?)",
            [
                (name, notice.alert.key, notice.model_dump_json(), self._now, self._now)
                for name in channels
            ],
        )

    def _notice(self, alert: Alert, state: str, *, since: float, seen: int = 1) -> Notice:
        return make_notice(alert, state, since=since, at=self._now, seen=max(seen, 1))


def make_notice(alert: Alert, state: str, *, since: float, at: float, seen: int = 1) -> Notice:
    """A notice from this machine; times in seconds since the epoch."""
    return Notice.model_validate(
        {
            "alert": alert,
            "state": state,
            "since": datetime.fromtimestamp(since, UTC),
            "at": datetime.fromtimestamp(at, UTC),
            "seen": seen,
            "host": socket.gethostname(),
        }
    )


def _weight(alert: Alert) -> int:
    return WEIGHTS[alert.severity]


def _waiting(row: tuple[int, str, str, int, str | None]) -> Waiting:
    id_, channel, notice, tries, error = row
    return Waiting(id_, channel, Notice.model_validate_json(notice), tries, error)
