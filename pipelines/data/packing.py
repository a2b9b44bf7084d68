"""Originals in Parquet: thousands in a file of about 256 MB, each one to be had back.

HDFS keeps every file's place in the NameNode's memory and answers a small file as slowly as a
large one, so images go in together. A pack's row groups are small, so that one image is read
without the others; image formats are compressed already, so the pack is not.

A pack is ``<dataset>/packs/<sha256 of the file>/originals.parquet``: whoever writes the same
originals writes the same pack.
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
    """An image in a pack."""

    sha256: str
    format: str | None
    content: bytes


@dataclass(frozen=True)
class Pack:
    """A finished file of originals."""

    local: Path
    sha256s: list[str]
    """Of each row, in order."""
    bytes: int
    sha256: str
    """Of the pack itself."""


class Packer:
    """Writes originals into a file, a row group at a time; the same originals give the same bytes.

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
        """Of the originals so far."""

    def add(self, original: Packed) -> int:
        """Add an original; its row, from 0."""
        self._group.append(original)
        self._sha256s.append(original.sha256)
        self._group_bytes += len(original.content)
        self.bytes += len(original.content)
        if self._group_bytes >= ROW_GROUP_BYTES:
            self._write()
        return len(self._sha256s) - 1

    def close(self) -> Pack:
        """Finish the file, which holds at least one original."""
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
    """Row number and content of the wanted rows of a pack; reads only their row groups."""
    wanted = sorted(set(rows))
    file = pq.ParquetFile(path)
    start = 0
    for number in range(file.num_row_groups):
        end = start + file.metadata.row_group(number).num_rows
        here = [row for row in wanted if start <= row < end]
        if here:
            column = file.read_row_group(number, columns=["content"])["content"]
            yield from ((row, column[row - start].as_py()) for row in here)
        start = end


def verify(path: Path, pack: Pack) -> None:
    """Hash every image of a pack that was read back from the store.

    Raises:
        StoreUnavailable: what came back is not what went in.
    """
    if file_digest(path) != pack.sha256:
        raise StoreUnavailable(
            f"{pack.local.name} was read back with other bytes than were written "
            f"({path.stat().st_size:,} of {pack.bytes:,}). Nothing was committed; run again."
        )
    for row, content in contents(path, range(len(pack.sha256s))):
        if hashlib.sha256(content).hexdigest() != pack.sha256s[row]:
            raise StoreUnavailable(
                f"Row {row} of {pack.local.name} does not have the sha256 it was landed with. "
                "Nothing was committed; run again."
            )


def deliver(store: Store, pack: Pack, folder: str) -> str:
    """Upload a pack, read it back, hash every image in it, and clear it from the local disk.

    Args:
        store: where to.
        pack: a finished pack.
        folder: of a data set's packs.

    Returns:
        Its path in the store; it appears there whole or not at all.

    Raises:
        StoreUnavailable: what came back is not what went in.
    """
    path, back = f"{folder}/{pack.sha256}", pack.local.with_suffix(".back")
    try:
        if store.exists(f"{path}/{FILE}"):  # of a landing that was killed
            store.set_modified(f"{path}/{FILE}", time.time())  # prune must take it for new
        else:
            with store.commit(path) as staging:
                store.upload(pack.local, f"{staging}/{FILE}")
                store.download(f"{staging}/{FILE}", back)
                verify(back, pack)
    finally:
        back.unlink(missing_ok=True)
        pack.local.unlink(missing_ok=True)
    return f"{path}/{FILE}"
