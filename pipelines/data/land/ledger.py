"""The ledger: which files of a landing folder were announced, opened, landed and ingested.

It is a SQLite file, ``$MEDLOOP_HOME/landed/<dataset>.sqlite``. Because of it, a delivery starts the
loop once despite restarts, files that were landed by hand do not start it, and a file that has not
changed is opened once. Keys are keyed hashes of paths, never file names. Without the ledger, the
loop runs once more and finds nothing new.
"""

import logging
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

from pipelines.data.folders import FileState
from pipelines.data.land.pseudonyms import Pseudonyms, load_pseudonyms
from pipelines.locks import locked, locked_if_free
from pipelines.settings import Settings

logger = logging.getLogger(__name__)

FILES = """CREATE TABLE IF NOT EXISTS files
    (key TEXT PRIMARY KEY, landing TEXT, ingested REAL) WITHOUT ROWID"""
OPENED = """CREATE TABLE IF NOT EXISTS opened
    (key TEXT PRIMARY KEY, version TEXT, found TEXT)"""
SETTLED_SECONDS = 2.0
"""A file that changed this recently may change again with the same time."""
KEYS_PER_QUERY = 500
INGESTED = "UPDATE files SET ingested = ? WHERE landing = ? AND ingested IS NULL"


class Ledger:
    """The ledger of one data set. A changed or replaced file counts as another file.

    Args:
        path: the SQLite file; created if missing.
        names: this installation's pseudonyms.
    """

    def __init__(self, path: Path, names: Pseudonyms) -> None:
        self._path = path
        self._names = names
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._connected() as ledger:
            ledger.execute(FILES)
            ledger.execute(OPENED)

    def unknown(self, folder: str, files: Iterable[FileState]) -> list[FileState]:
        """The files that were neither announced nor landed.

        Args:
            folder: the landing folder.
            files: files of it.
        """
        return self._not_in(folder, files, "TRUE")

    def waiting(self, folder: str, files: Iterable[FileState]) -> list[FileState]:
        """The files that were not ingested yet; arguments as of `unknown`."""
        return self._not_in(folder, files, "ingested IS NOT NULL")

    def announce(self, folder: str, files: Iterable[FileState]) -> None:
        """Record that these files were announced; arguments as of `unknown`."""
        rows = [(self._key(folder, file),) for file in files]
        with self._connected() as ledger:
            ledger.executemany("INSERT OR IGNORE INTO files (key) VALUES (?)", rows)

    def landed(self, folder: str, files: Iterable[FileState], landing: str) -> None:
        """Record the landing of these files; other arguments as of `unknown`."""
        rows = [(self._key(folder, file), landing) for file in files]
        note = """INSERT INTO files (key, landing) VALUES (?, ?)
            ON CONFLICT (key) DO UPDATE SET landing = excluded.landing"""
        with self._connected() as ledger:
            ledger.executemany(note, rows)

    def ingested(self, landing: str) -> None:
        """Record that the files of a landing are in a snapshot or in quarantine."""
        with self._connected() as ledger:
            ledger.execute(INGESTED, (time.time(), landing))

    def note(self, folder: str, found: Iterable[tuple[FileState, str]], *, version: str) -> None:
        """Store the results of opening files.

        Args:
            folder: the landing folder.
            found: files, each with its result as text; see `is_settled`.
            version: version of the code that opened them.
        """
        rows = [(self._key(folder, file), version, text) for file, text in found]
        with self._connected() as ledger:
            ledger.executemany("INSERT OR REPLACE INTO opened VALUES (?, ?, ?)", rows)

    def opened(self, folder: str, files: Iterable[FileState], *, version: str) -> dict[str, str]:
        """Path → text that `note` stored, for files that have not changed since."""
        paths = {self._key(folder, file): file.path for file in files}
        query = "SELECT key, found FROM opened WHERE key IN ({placeholders}) AND version = ?"
        return {paths[key]: text for key, text in self._query(query, list(paths), version)}

    def forget(self, folder: str, files: Iterable[FileState]) -> None:
        """Delete the texts that `note` stored, also from the disk."""
        keys = [(self._key(folder, file),) for file in files]
        with self._connected() as ledger:
            ledger.execute("PRAGMA secure_delete = ON")
            ledger.executemany("DELETE FROM opened WHERE key = ?", keys)

    def while_landing(self) -> AbstractContextManager[None]:
        """Hold the lock that `is_landing` checks. It ends with the process."""
        return locked(self._lock, shared=True)

    def is_landing(self) -> bool:
        """Whether any process is landing files now."""
        with locked_if_free(self._lock) as is_free:
            return not is_free

    @property
    def _lock(self) -> Path:
        return self._path.with_suffix(".lock")

    def _not_in(self, folder: str, files: Iterable[FileState], state: str) -> list[FileState]:
        """The files that have no row with this SQL condition."""
        remaining = {self._key(folder, file): file for file in files}
        query = f"SELECT key FROM files WHERE key IN ({{placeholders}}) AND {state}"
        for (key,) in self._query(query, list(remaining)):
            del remaining[key]
        return list(remaining.values())

    def _query(self, query: str, keys: list[str], *further: str) -> Iterator[tuple[str, ...]]:
        """Rows of a query about keys, which has ``{placeholders}`` in their folder."""
        with self._connected() as ledger:
            for start in range(0, len(keys), KEYS_PER_QUERY):
                part = keys[start : start + KEYS_PER_QUERY]
                placeholders = ",".join("?" * len(part))
                yield from ledger.execute(
                    query.format(placeholders=placeholders), (*part, *further)
                )

    def _key(self, folder: str, file: FileState) -> str:
        return self._names.of("landed", f"{folder}/{file.path}\0{file.version}")

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=60)) as ledger, ledger:
            yield ledger


def is_settled(file: FileState, *, now: float) -> bool:
    """Whether later changes of a file will be visible: it has not changed just now, and the file
    system has IDs of files."""
    return bool(file.identity) and now - max(file.changed_ns / 1e9, file.arrived) >= SETTLED_SECONDS


def open_ledger(settings: Settings, dataset: str) -> Ledger:
    """The ledger of a data set in this installation."""
    return Ledger(_path(settings, dataset), load_pseudonyms(settings))


def has_entries(settings: Settings, dataset: str) -> bool:
    """Whether files of a data set were ever announced or landed; true if the ledger is broken."""
    path = _path(settings, dataset)
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5)) as ledger:
            return ledger.execute("SELECT 1 FROM files LIMIT 1").fetchone() is not None
    except sqlite3.Error as error:
        logger.warning("%s cannot be read: %s", path, error)
        return True


def _path(settings: Settings, dataset: str) -> Path:
    return settings.home / "landed" / f"{dataset}.sqlite"
