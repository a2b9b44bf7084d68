"""Originals in Parquet: thousands in a file of about 128 MB, each one to be had back.

HDFS keeps every file's place in the NameNode's memory and answers a small file as slowly as a
large one, so images go in together. A pack's row groups are small, so that one image is read
without the others; image formats are compressed already, so the pack is not.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import StoreUnavailable
from pipelines.hashing import file_digest
from pipelines.storage import Store

PACK_BYTES = 128 * 1000**2
ROW_GROUP_BYTES = 12 * 1000**2
PACKED = pa.schema(
    [
        ("sha256", pa.string()),
        ("source_path", pa.string()),
        ("label", pa.string()),
        ("format", pa.string()),
        ("content", pa.binary()),
    ]
)


@dataclass(frozen=True)
class Original:
    """An image on its way into a pack."""

    sha256: str
    source_path: str
    label: str | None
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


def pack(
    originals: Iterable[Original], folder: Path, *, name: str, pack_bytes: int = PACK_BYTES
) -> Iterator[Pack]:
    """Write originals into ``folder/<name>-00000.parquet`` and so on, in the order they come.

    A pack is handed over as soon as it is full, so that the disk need hold only one. The same
    originals give the same bytes.
    """
    remaining = iter(originals)
    first = next(remaining, None)
    number = 0
    while first is not None:
        path = folder / f"{name}-{number:05d}.parquet"
        sha256s, first = _fill(path, first, remaining, pack_bytes)
        yield Pack(path, sha256s, path.stat().st_size, file_digest(path))
        number += 1


def _fill(
    path: Path, first: Original, remaining: Iterator[Original], pack_bytes: int
) -> tuple[list[str], Original | None]:
    """Write one pack; what came first after it was full is handed back."""
    sha256s: list[str] = []
    following: Original | None = first
    written = 0
    with pq.ParquetWriter(
        path,
        PACKED,
        compression={"content": "none", **{c: "zstd" for c in PACKED.names if c != "content"}},
        use_dictionary=["label", "format"],
        write_statistics=["sha256", "source_path"],
    ) as writer:
        while following is not None and written < pack_bytes:
            group: list[Original] = []
            size = 0
            while following is not None and size < min(ROW_GROUP_BYTES, pack_bytes):
                group.append(following)
                size += len(following.content)
                following = next(remaining, None)
            writer.write_table(_table(group), row_group_size=len(group))
            sha256s += [original.sha256 for original in group]
            written += size
    return sha256s, following


def _table(group: list[Original]) -> pa.Table:
    return pa.Table.from_pylist([vars(original) for original in group], schema=PACKED)


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


def deliver(store: Store, pack: Pack, path: str) -> None:
    """Upload a pack, read it back, hash every image in it, and clear it from the local disk.

    Raises:
        StoreUnavailable: what came back is not what went in.
    """
    back = pack.local.with_suffix(".back")
    try:
        store.upload(pack.local, path)
        store.download(path, back)
        verify(back, pack)
    finally:
        back.unlink(missing_ok=True)
        pack.local.unlink(missing_ok=True)
