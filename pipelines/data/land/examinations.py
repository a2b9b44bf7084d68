"""What opening files has shown, kept so that a file that has not changed is opened only once.

The memory is a SQLite file in the cache folder: it grows while a landing folder is being worked
through, so that a killed run goes on where it was. It can be deleted at any time. Its keys are
keyed hashes: no file name stands in it.
"""

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pipelines.data.folders import FileState
from pipelines.data.land.examine import Examined
from pipelines.data.land.pseudonyms import Pseudonyms

SETTLED_SECONDS = 2.0
"""A file that changed this recently may change again without its time showing it."""
KEYS_PER_QUERY = 500


class Examinations:
    """A memory of examinations.

    Args:
        path: the SQLite file; made if absent.
        names: this installation's pseudonyms.
        version: what the result depends on besides the file (limits, code).
    """

    def __init__(self, path: Path, names: Pseudonyms, *, version: str) -> None:
        self._path = path
        self._names = names
        self._version = version
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._connected() as memory:
            memory.execute("CREATE TABLE IF NOT EXISTS examined (key TEXT PRIMARY KEY, found TEXT)")

    def key(self, place: str, file: FileState) -> str | None:
        """The key of a file in its present state; ``None`` if a change might go unnoticed: it has
        just changed, or the file system does not tell one file from its replacement.

        Args:
            place: the landing folder.
            file: the file in it.
        """
        changed = max(file.changed_ns / 1e9, file.arrived)
        if not file.identity or time.time() - changed < SETTLED_SECONDS:
            return None
        state = f"{place}/{file.path}\0{file.version}\0{self._version}"
        return self._names.of("examined", state)

    def known(self, keys: Iterable[str]) -> dict[str, Examined]:
        """Those of ``keys`` that are remembered."""
        wanted = list(keys)
        found: dict[str, Examined] = {}
        with self._connected() as memory:
            for start in range(0, len(wanted), KEYS_PER_QUERY):
                part = wanted[start : start + KEYS_PER_QUERY]
                marks = ",".join("?" * len(part))
                query = f"SELECT key, found FROM examined WHERE key IN ({marks})"
                for key, text in memory.execute(query, part):
                    found[key] = Examined.model_validate_json(text)
        return found

    def remember(self, found: dict[str, Examined]) -> None:
        """Keep what was found, at once and for good."""
        rows = [(key, examined.model_dump_json()) for key, examined in found.items()]
        with self._connected() as memory:
            memory.executemany("INSERT OR REPLACE INTO examined VALUES (?, ?)", rows)

    def forget(self, keys: Iterable[str]) -> None:
        """Remove what is remembered under these keys, from the disk too."""
        with self._connected() as memory:
            memory.execute("PRAGMA secure_delete = ON")
            memory.executemany("DELETE FROM examined WHERE key = ?", [(key,) for key in keys])

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=60)) as memory, memory:
            yield memory
