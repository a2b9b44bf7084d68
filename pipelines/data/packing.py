"""Packs: Parquet files of about 256 MB with thousands of originals.

The NameNode of HDFS keeps every file in memory, and small files are as slow as large ones, so many
images share a file. Row groups are small, so one image can be read without the others. Images are
already compressed, so packs are not.

A pack is ``<dataset>/packs/<sha256 of the file>/originals.parquet``; the same originals give the
same pack.
"""

import hashlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import StoreUnavailable
from pipelines.hashing import file_digest
from pipelines.storage import Store

PACK_BYTES = 256 * 1000**2
ROW_GROUP_BYTES = 12 * 1000**2
FILE = "originals.parquet"
PACKED = pa.schema(
    [("sha256", pa.string()), ("format", pa.string()), ("content", pa.binary())],
)


@dataclass(frozen=True)
class Packed:
    """An original in a pack."""

    sha256: str
    format: str | None
    content: bytes


@dataclass(frozen=True)
class Pack:
    """A finished file of originals."""

    local: Path
    sha256s: list[str]
    """sha256 of each row, in order."""
    bytes: int
    sha256: str
    """sha256 of the pack file."""


class Packer:
    """Writes originals into a file, one row group at a time; the same originals give the same
    bytes.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pq.ParquetWriter | None = None
        self._group: list[Packed] = []
        self._group_bytes = 0
        self._sha256s: list[str] = []
        self.bytes = 0
        """Total size of the originals so far."""

    def add(self, original: Packed) -> int:
        """Add an original; return its row, from 0."""
        self._group.append(original)
        self._sha256s.append(original.sha256)
        self._group_bytes += len(original.content)
        self.bytes += len(original.content)
        if self._group_bytes >= ROW_GROUP_BYTES:
            self._write()
        return len(self._sha256s) - 1

    def close(self) -> Pack:
        """Finish the file, which must have at least one original."""
        self._write()
        assert self._writer is not None
        self._writer.close()
        size = self._path.stat().st_size
        return Pack(self._path, self._sha256s, size, file_digest(self._path))

    def _write(self) -> None:
        if not self._group:
            return
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self._path,
                PACKED,
                compression={"content": "none", "sha256": "zstd", "format": "zstd"},
                use_dictionary=["format"],
                write_statistics=["sha256"],
            )
        columns = {name: [getattr(one, name) for one in self._group] for name in PACKED.names}
        table = pa.table(columns, schema=PACKED)
        self._writer.write_table(table, row_group_size=len(self._group))
        self._group, self._group_bytes = [], 0


def contents(path: Path, rows: Iterable[int]) -> Iterator[tuple[int, bytes]]:
    """Number and content of some rows of a pack; reads only their row groups."""
    wanted = sorted(set(rows))
    file = pq.ParquetFile(path)
    start = 0
    for number in range(file.num_row_groups):
        end = start + file.metadata.row_group(number).num_rows
        rows_of_group = [row for row in wanted if start <= row < end]
        if rows_of_group:
            column = file.read_row_group(number, columns=["content"])["content"]
            yield from ((row, column[row - start].as_py()) for row in rows_of_group)
        start = end


def verify(path: Path, pack: Pack) -> None:
    """Hash every original of a pack that was downloaded again.

    Raises:
        StoreUnavailable: the downloaded pack differs from the uploaded one.
    """
    if file_digest(path) != pack.sha256:
        raise StoreUnavailable(
            f"{pack.local.name} was read back with other bytes than were written "
            f"({path.stat().st_size:,} of {pack.bytes:,}). Nothing was committed; run again."
        )
    for row, content in contents(path, range(len(pack.sha256s))):
        if hashlib.sha256(content).hexdigest() != pack.sha256s[row]:
            raise StoreUnavailable(
                f"Row {row} of {pack.local.name} has another sha256 than when it landed. "
                "Nothing was committed; run again."
            )


def upload_pack(store: Store, pack: Pack, folder: str) -> str:
    """Upload a pack, download and verify it, and delete the local file.

    Args:
        store: the store.
        pack: a finished pack.
        folder: folder of packs of the data set.

    Returns:
        Its path in the store, where it appears atomically.

    Raises:
        StoreUnavailable: the downloaded pack differs from the uploaded one.
    """
    path, copy = f"{folder}/{pack.sha256}", pack.local.with_suffix(".copy")
    try:
        if store.exists(f"{path}/{FILE}"):  # uploaded by a landing that was killed
            store.set_modified(f"{path}/{FILE}", time.time())  # prune must see it as new
        else:
            with store.commit(path) as staging:
                store.upload(pack.local, f"{staging}/{FILE}")
                store.download(f"{staging}/{FILE}", copy)
                verify(copy, pack)
    finally:
        copy.unlink(missing_ok=True)
        pack.local.unlink(missing_ok=True)
    return f"{path}/{FILE}"
