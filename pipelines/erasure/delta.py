"""Files of Delta tables: another file takes the place of one, in a commit of its own.

The file that is replaced is deleted at once: versions of the table before the erasure, which list
it, cannot be read any more. Snapshots can: they are revisions in the rows, not versions.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from pipelines.data.rows import Row
from pipelines.data.tables import Part, Table
from pipelines.hashing import file_digest
from pipelines.storage import Store

PART = re.compile(r"([^/]+/tables/.+)/([^/]+\.parquet)")


@dataclass(frozen=True)
class Parts:
    """The files of a table.

    Args:
        store: where it is.
        folder: of the table.
    """

    store: Store
    folder: str

    @classmethod
    def of(cls, store: Store, path: str) -> "Parts | None":
        """The table that a file is in the folder of; ``None`` if it is of no Delta table."""
        match = PART.fullmatch(path)
        return cls(store, match[1]) if match else None

    def is_used(self, path: str) -> bool:
        """Whether the newest version of the table lists a file."""
        return path.rpartition("/")[2] in self._table.parts()

    def exchange(self, path: str, local: Path) -> None:
        """Let a local file take the place of one, and delete that one.

        Raises:
            StoreUnavailable: the store does not answer, or others write all the time.
        """
        name = f"{file_digest(local)}.parquet"
        rows = pq.read_metadata(local).num_rows
        added = [Part(name, local.stat().st_size, rows)] if rows else []
        if added:
            self.store.upload(local, f"{self.folder}/{name}")
        self._table.replace([path.rpartition("/")[2]], added)
        self.store.delete(path)

    @property
    def _table(self) -> Table:
        return Table(self.store, self.folder, Row)
