"""Which files of a landing folder were announced, opened, landed and ingested already.

The ledger is a small SQLite file of the installation, ``$MEDLOOP_HOME/landed/<dataset>.sqlite``.
It is why a delivery wakes the loop once, whatever is restarted meanwhile, why files that were
landed by hand wake nothing, and why a file that has not changed is opened once. Its keys are keyed
hashes: no file name stands in it. Losing it costs one run that finds nothing new.
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
"""A file that changed this recently may change again without its time showing it."""
KEYS_PER_QUERY = 500
INGESTED = "UPDATE files SET ingested = ? WHERE landing = ? AND ingested IS NULL"


class Ledger:
    """The ledger of one data set. A file that changes, or is replaced, is another file.

    Args:
        path: the SQLite file; made if absent.
        names: this installation's pseudonyms.
    """

    def __init__(self, path: Path, names: Pseudonyms) -> None:
        self._path = path
        self._names = names
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._connected() as ledger:
            ledger.execute(FILES)
            ledger.execute(OPENED)

    def unknown(self, place: str, files: Iterable[FileState]) -> list[FileState]:
        """Those of ``files`` that were neither announced nor landed.

        Args:
            place: the landing folder.
            files: as they stand in it.
        """
        return self._without(place, files, "TRUE")

    def waiting(self, place: str, files: Iterable[FileState]) -> list[FileState]:
        """Those of ``files`` that were not ingested yet; arguments as of `unknown`."""
        return self._without(place, files, "ingested IS NOT NULL")

    def announce(self, place: str, files: Iterable[FileState]) -> None:
        """Note that the loop was woken for these files; arguments as of `unknown`."""
        rows = [(self._key(place, file),) for file in files]
        with self._connected() as ledger:
            ledger.executemany("INSERT OR IGNORE INTO files (key) VALUES (?)", rows)

    def landed(self, place: str, files: Iterable[FileState], landing: str) -> None:
        """Note that these files belong to a landing; other arguments as of `unknown`."""
        rows = [(self._key(place, file), landing) for file in files]
        note = """INSERT INTO files (key, landing) VALUES (?, ?)
            ON CONFLICT (key) DO UPDATE SET landing = excluded.landing"""
        with self._connected() as ledger:
            ledger.executemany(note, rows)

    def ingested(self, landing: str) -> None:
        """Note that a landing's files are in a snapshot or in quarantine."""
        with self._connected() as ledger:
            ledger.execute(INGESTED, (time.time(), landing))

    def note(self, place: str, found: Iterable[tuple[FileState, str]], *, version: str) -> None:
        """Keep what opening files has shown.

        Args:
            place: the landing folder.
            found: each file with a text about it; see `is_settled`.
            version: what the text depends on besides the file.
        """
        rows = [(self._key(place, file), version, text) for file, text in found]
        with self._connected() as ledger:
            ledger.executemany("INSERT OR REPLACE INTO opened VALUES (?, ?, ?)", rows)

    def opened(self, place: str, files: Iterable[FileState], *, version: str) -> dict[str, str]:
        """What `note` has kept: path → text, of files that have not changed since."""
        paths = {self._key(place, file): file.path for file in files}
        query = "SELECT key, found FROM opened WHERE key IN ({marks}) AND version = ?"
        return {paths[key]: text for key, text in self._asked(query, list(paths), version)}

    def forget(self, place: str, files: Iterable[FileState]) -> None:
        """Remove what `note` has kept of files, from the disk too."""
        keys = [(self._key(place, file),) for file in files]
        with self._connected() as ledger:
            ledger.execute("PRAGMA secure_delete = ON")
            ledger.executemany("DELETE FROM opened WHERE key = ?", keys)

    def while_landing(self) -> AbstractContextManager[None]:
        """Say, for as long as the block lasts, that files are being landed."""
        return locked(self._lock, shared=True)

    def is_landing(self) -> bool:
        """Whether files are being landed now, by any process."""
        with locked_if_free(self._lock) as is_free:
            return not is_free

    @property
    def _lock(self) -> Path:
        return self._path.with_suffix(".lock")

    def _without(self, place: str, files: Iterable[FileState], state: str) -> list[FileState]:
        """Those of ``files`` that no row in this state (a condition of SQL) stands for."""
        remaining = {self._key(place, file): file for file in files}
        query = f"SELECT key FROM files WHERE key IN ({{marks}}) AND {state}"
        for (key,) in self._asked(query, list(remaining)):
            del remaining[key]
        return list(remaining.values())

    def _asked(self, query: str, keys: list[str], *further: str) -> Iterator[tuple[str, ...]]:
        """Rows of a query about keys, which has ``{marks}`` in their place."""
        with self._connected() as ledger:
            for start in range(0, len(keys), KEYS_PER_QUERY):
                part = keys[start : start + KEYS_PER_QUERY]
                marks = ",".join("?" * len(part))
                yield from ledger.execute(query.format(marks=marks), (*part, *further))

    def _key(self, place: str, file: FileState) -> str:
        return self._names.of("landed", f"{place}/{file.path}\0{file.version}")

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=60)) as ledger, ledger:
            yield ledger


def is_settled(file: FileState, *, now: float) -> bool:
    """Whether a change of a file from now on will be noticed: it has not just changed, and the file
    system tells one file from its replacement."""
    return bool(file.identity) and now - max(file.changed_ns / 1e9, file.arrived) >= SETTLED_SECONDS


def open_ledger(settings: Settings, dataset: str) -> Ledger:
    """The ledger of a data set in this installation."""
    return Ledger(_path(settings, dataset), load_pseudonyms(settings))


def has_entries(settings: Settings, dataset: str) -> bool:
    """Whether files of a data set were ever announced or landed; a broken ledger counts as yes."""
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
