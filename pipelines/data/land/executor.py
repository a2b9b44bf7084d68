"""Reads each file once, and writes packs and their rows of ``originals``.

The same function runs on this machine and in Spark executors. Files are opened in guarded processes
(`pipelines.guarded`): a file that crashes its decoder, takes too much memory or never ends is
refused, and the others are not affected. Originals of new images go into a pack. Names depend on
content only, so a second attempt writes the same files.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines import guarded, imaging
from pipelines.data.folders import LandingFolder
from pipelines.data.land.changes import original_of
from pipelines.data.land.examine import LISTED, OPENED, Examined, examine, unopened
from pipelines.data.land.pseudonyms import ERASED, MESSAGE, Erased, Pseudonyms
from pipelines.data.packing import PACK_BYTES, Packed, Packer, upload_pack
from pipelines.data.rows import Original, table_of
from pipelines.data.tables import Part, Table
from pipelines.errors import BadImage
from pipelines.guarded import Died, Lost, TookTooLong
from pipelines.imaging import Limits
from pipelines.progress import track
from pipelines.storage import Store

SECONDS_PER_FILE = 120.0
BYTES_PER_PIXEL = 64
"""Memory to open an image: 16-bit grey levels as several float arrays."""
BYTES_PER_FILE = 1 << 30
"""Memory to open any image, besides its pixels."""
PACK_FILES = 50_000
"""Most files of a pack. A killed landing loses the files of the current pack."""
CURRENT_PACK = ""
"""Stands for the pack that is being written."""
RESULTS = 4096
"""Results that are converted to columns at a time."""


@dataclass(frozen=True)
class LandJob:
    """What to do with the files of one landing folder; travels to other processes.

    Args:
        source: the landing folder.
        names: this installation's pseudonyms.
        limits: limits of size and pixels.
        erased: erased images of the data set.
        dataset: the data set.
        known: names of the files of the table ``originals``.
    """

    source: LandingFolder
    names: Pseudonyms
    limits: Limits
    erased: Erased
    dataset: str
    known: tuple[str, ...]


@dataclass(frozen=True)
class Landed:
    """Opened files whose originals are stored."""

    opened: pa.Table
    """`OPENED`."""
    parts: list[Part]
    """New files of the table ``originals``, not committed yet."""


def land(
    paths: Sequence[str],
    job: LandJob,
    store: Store,
    *,
    processes: int,
) -> Iterator[Landed]:
    """Open files, and store the originals of new images.

    Args:
        paths: below the landing folder, sorted.
        job: the other arguments.
        store: of packs and tables.
        processes: number of processes that open files.

    Yields:
        The files of each pack.

    Raises:
        StackError: the process that opens files does not start.
        StoreUnavailable: the store or the landing folder does not answer.
    """
    results = guarded.call_each(
        partial(examine, job.source, names=job.names, limits=job.limits),
        paths,
        processes=processes,
        seconds=SECONDS_PER_FILE,
        memory=_memory(job.limits),
    )
    table = Table(store, f"{job.dataset}/tables/{Original.table}", Original)
    stored = StoredOriginals.of(table, job.known)
    with tempfile.TemporaryDirectory(prefix="medloop-land-") as folder:
        batch = _Batch(Path(folder), stored, table, f"{job.dataset}/packs")
        for path, result in track(results, total=len(paths), what="Landing files"):
            found = _lost(job.source, result) if isinstance(result, Lost) else result
            if job.erased.has((found.sha256, found.landed_sha256)):
                found = Examined(reason=ERASED, message=MESSAGE)
            batch.add(path, found)
            if batch.is_full:
                yield batch.close()
                batch = _Batch(Path(folder), stored, table, f"{job.dataset}/packs")
        yield batch.close()


@dataclass
class StoredOriginals:
    """The stored originals of a data set."""

    rows: pa.Table
    """``pack`` and ``row``, in the order of ``sha256s``."""
    sha256s: NDArray[np.bytes_]
    """Sorted; a million take 64 MB."""
    facts: NDArray[np.bytes_]
    """Keys of the rows of ``originals``, sorted."""
    new: dict[str, tuple[str, int]] = field(default_factory=dict)
    """sha256 → pack and row, of originals added by this landing."""
    new_facts: set[str] = field(default_factory=set)
    """``facts`` added by this landing."""

    @classmethod
    def of(cls, table: Table, parts: Sequence[str]) -> "StoredOriginals":
        """The originals in some files of the table."""
        rows = table.read(parts, ["facts", "sha256", "pack", "row"])
        sha256s = np.array(rows["sha256"].to_pylist(), "S64")
        order = np.argsort(sha256s)
        facts = np.sort(np.array(rows["facts"].to_pylist(), "S16"))
        return cls(rows.select(["pack", "row"]).take(pa.array(order)), sha256s[order], facts)

    def location(self, sha256: str) -> tuple[str, int] | None:
        """Pack and row of an original; ``None`` if it is not stored."""
        if sha256 in self.new:
            return self.new[sha256]
        at = _position(self.sha256s, sha256)
        if at is None:
            return None
        return self.rows["pack"][at].as_py(), self.rows["row"][at].as_py()

    def has(self, facts: str) -> bool:
        """Whether the table has a row with this key."""
        return facts in self.new_facts or _position(self.facts, facts) is not None


def _position(values: NDArray[np.bytes_], text: str) -> int | None:
    """Position of a text in a sorted array; ``None`` if it is missing."""
    value = text.encode()
    at = int(np.searchsorted(values, np.array(value, values.dtype))) if len(values) else 0
    return at if at < len(values) and values[at] == value else None


class _Batch:
    """The files of one pack."""

    def __init__(self, folder: Path, stored: StoredOriginals, table: Table, packs: str) -> None:
        self._stored = stored
        self._table = table
        self._packs = packs
        self._packer = Packer(folder / "pack.parquet")
        self._files = 0
        self._results: list[dict[str, Any]] = []
        self._columns: list[pa.Table] = [OPENED.empty_table()]
        self._originals: list[Original] = []

    @property
    def is_full(self) -> bool:
        """Whether the pack is full."""
        return self._packer.bytes >= PACK_BYTES or self._files >= PACK_FILES

    def add(self, path: str, found: Examined) -> None:
        """Add the result of a file, and its original if it is new."""
        facts = None
        self._files += 1
        if found.original is not None and found.sha256 is not None:
            original = original_of(asdict(found) | {"bytes": found.size})
            facts = original.facts
            if not self._stored.has(facts):
                self._originals.append(self._with_location(original, found.original))
                self._stored.new_facts.add(facts)
        row = {field.name: getattr(found, field.name) for field in LISTED}
        self._results.append(row | {"path": os.fsencode(path), "facts": facts})
        if len(self._results) == RESULTS:
            self._convert()

    def _with_location(self, original: Original, content: bytes) -> Original:
        location = self._stored.location(original.sha256)
        if location is None:
            row = self._packer.add(Packed(original.sha256, original.format, content))
            location = CURRENT_PACK, row
            self._stored.new[original.sha256] = location
        return replace(original, pack=location[0], row=location[1])

    def close(self) -> Landed:
        """Store the pack and the rows of its originals."""
        pack = CURRENT_PACK
        if self._packer.bytes:
            packed = self._packer.close()
            pack = upload_pack(self._table.store, packed, self._packs)
            for row, sha256 in enumerate(packed.sha256s):
                self._stored.new[sha256] = pack, row
        rows = [replace(one, pack=one.pack or pack) for one in self._originals]
        self._convert()
        parts = self._table.write_all(table_of(rows, Original)) if rows else []
        return Landed(pa.concat_tables(self._columns), parts)

    def _convert(self) -> None:
        self._columns.append(pa.Table.from_pylist(self._results, schema=OPENED))
        self._results = []


def decode_guarded(data: bytes, *, limits: Limits) -> NDArray[np.uint8]:
    """`imaging.decode` in a guarded process.

    Raises:
        BadImage: as of `imaging.decode`, or the file ended that process or took too long.
        StackError: the process does not start.
    """
    try:
        decode = partial(imaging.decode, limits=limits)
        return guarded.call_once(decode, data, seconds=SECONDS_PER_FILE, memory=_memory(limits))
    except (Died, TookTooLong) as error:
        raise _refusal(error) from error


def _lost(source: LandingFolder, lost: Lost[str]) -> Examined:
    refused = _refusal(lost.error)
    return unopened(source, lost.item, reason=refused.reason, message=str(refused))


def _memory(limits: Limits) -> int:
    return BYTES_PER_FILE + BYTES_PER_PIXEL * limits.max_pixels


def _refusal(error: Died | TookTooLong) -> BadImage:
    advice = "Save the image again in another format (PNG)."
    if isinstance(error, TookTooLong):
        message = f"Opening the file took more than {SECONDS_PER_FILE:g} seconds. {advice}"
        return BadImage("timeout", message)
    return BadImage(
        "process_died",
        "The process that opened the file ended: the file crashes its decoder or takes more memory "
        f"than this machine has. {advice}",
    )
