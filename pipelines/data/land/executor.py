"""Files in, a pack and its rows of ``originals`` out: each file is read once.

The same function runs on this machine and in Spark's executors. A file is opened in a guarded
process: one that crashes its decoder, takes too much memory or never comes to an end costs itself a
reason, and nothing else (`pipelines.guarded`). The original of each image that the data set lacks
goes into a pack. Nothing is named by place or time, so a second attempt writes the same files.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines import guarded, imaging
from pipelines.data.folders import LandingFolder
from pipelines.data.land.changes import original_of
from pipelines.data.land.erased import ERASED, MESSAGE, Erased
from pipelines.data.land.examine import Examined, examine, unopened
from pipelines.data.land.pseudonyms import Pseudonyms
from pipelines.data.packing import PACK_BYTES, Packed, Packer, deliver
from pipelines.data.rows import Original, table_of
from pipelines.data.tables import Part, Table
from pipelines.errors import BadImage
from pipelines.guarded import Died, Lost, TookTooLong
from pipelines.imaging import Limits
from pipelines.progress import track
from pipelines.storage import Store

SECONDS_PER_FILE = 120.0
BYTES_PER_PIXEL = 64
"""Memory that opening an image takes at most: 16-bit grey values as several float arrays."""
BYTES_PER_FILE = 1 << 30
"""The same, whatever the size of the image."""
PACK_FILES = 50_000
"""Files after which a pack is closed, however small they are: what a killed landing loses."""
HERE = ""
"""The pack that is being written."""
RESULTS = 4096
"""Files after which results become columns."""
OPENED = pa.schema(
    [
        ("path", pa.binary()),
        ("sha256", pa.string()),
        ("size", pa.int64()),
        ("landed_sha256", pa.string()),
        ("format", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("mode", pa.string()),
        ("bits", pa.int32()),
        ("notes", pa.list_(pa.string())),
        ("mean", pa.float64()),
        ("std", pa.float64()),
        ("facts", pa.string()),
        ("reason", pa.string()),
        ("message", pa.string()),
        ("nameless", pa.bool_()),
        ("patient", pa.string()),
        ("frames", pa.string()),
    ]
)
"""What opening files has shown: ``path`` below the landing folder (as the file system spells it,
which need not be UTF-8), fields of `Examined`, and ``facts``: the key of the row in ``originals``,
null where the file could not be decoded."""


@dataclass(frozen=True)
class LandJob:
    """What to do with the files of one landing folder; travels to other processes.

    Args:
        source: the landing folder.
        names: this installation's pseudonyms.
        limits: beyond which a file is refused.
        gone: images that were erased.
        dataset: whose tables and packs.
        known: names of the files of the table ``originals``.
    """

    source: LandingFolder
    names: Pseudonyms
    limits: Limits
    gone: Erased
    dataset: str
    known: tuple[str, ...]


@dataclass(frozen=True)
class Landed:
    """Files that were opened, all whose originals are stored."""

    opened: pa.Table
    """With the columns `OPENED`."""
    parts: list[Part]
    """Files of the table ``originals``, not yet part of it."""


def land(
    paths: Sequence[str],
    job: LandJob,
    store: Store,
    *,
    processes: int,
) -> Iterator[Landed]:
    """Open files, and store what the data set lacks.

    Args:
        paths: below the landing folder, sorted.
        job: see there.
        store: of packs and tables.
        processes: in which files are opened.

    Yields:
        The files of each pack.

    Raises:
        StackError: the process that opens files does not start.
        StoreUnavailable: the store, or HDFS where the folder is, does not answer.
    """
    results = guarded.call_each(
        partial(examine, job.source, names=job.names, limits=job.limits),
        paths,
        processes=processes,
        seconds=SECONDS_PER_FILE,
        memory=_memory(job.limits),
    )
    table = Table(store, f"{job.dataset}/tables/{Original.table}", Original)
    held = Held.of(table, job.known)
    with tempfile.TemporaryDirectory(prefix="medloop-land-") as folder:
        batch = _Batch(Path(folder), held, table, f"{job.dataset}/packs")
        for path, result in track(results, total=len(paths), what="Landing files"):
            found = _lost(job.source, result) if isinstance(result, Lost) else result
            if job.gone.has((found.sha256, found.landed_sha256)):
                found = Examined(reason=ERASED, message=MESSAGE)
            batch.add(path, found)
            if batch.is_full:
                yield batch.close()
                batch = _Batch(Path(folder), held, table, f"{job.dataset}/packs")
        yield batch.close()


@dataclass
class Held:
    """The originals that a data set has."""

    rows: pa.Table
    """``pack`` and ``row``, in the order of ``sha256s``."""
    sha256s: NDArray[np.bytes_]
    """Sorted; a million take 64 MB."""
    facts: NDArray[np.bytes_]
    """Keys of the rows of ``originals``, sorted."""
    new: dict[str, tuple[str, int]] = field(default_factory=dict)
    """sha256 → place, of what this landing has added."""
    opened: set[str] = field(default_factory=set)
    """``facts`` of what it has added."""

    @classmethod
    def of(cls, table: Table, parts: Sequence[str]) -> "Held":
        """Those in some files of the table ``originals``."""
        rows = table.read(parts, ["facts", "sha256", "pack", "row"])
        sha256s = np.array(rows["sha256"].to_pylist(), "S64")
        order = np.argsort(sha256s)
        facts = np.sort(np.array(rows["facts"].to_pylist(), "S16"))
        return cls(rows.select(["pack", "row"]).take(pa.array(order)), sha256s[order], facts)

    def place(self, sha256: str) -> tuple[str, int] | None:
        """Where an original is; ``None`` if the data set lacks it."""
        if sha256 in self.new:
            return self.new[sha256]
        at = _position(self.sha256s, sha256)
        if at is None:
            return None
        return self.rows["pack"][at].as_py(), self.rows["row"][at].as_py()

    def has(self, facts: str) -> bool:
        """Whether a row of the table says this about an image."""
        return facts in self.opened or _position(self.facts, facts) is not None


def _position(values: NDArray[np.bytes_], text: str) -> int | None:
    """Where a text is among sorted ones."""
    value = text.encode()
    at = int(np.searchsorted(values, np.array(value, values.dtype))) if len(values) else 0
    return at if at < len(values) and values[at] == value else None


class _Batch:
    """Files on their way into one pack."""

    def __init__(self, folder: Path, held: Held, table: Table, packs: str) -> None:
        self._held = held
        self._table = table
        self._packs = packs
        self._packer = Packer(folder / "pack.parquet")
        self._files = 0
        self._results: list[dict[str, Any]] = []
        self._columns: list[pa.Table] = [OPENED.empty_table()]
        self._originals: list[Original] = []

    @property
    def is_full(self) -> bool:
        """Whether it is time for another pack."""
        return self._packer.bytes >= PACK_BYTES or self._files >= PACK_FILES

    def add(self, path: str, found: Examined) -> None:
        """Note what a file has shown, and pack its original if it is new."""
        facts = None
        self._files += 1
        if found.original is not None and found.sha256 is not None:
            original = original_of(found.model_dump() | {"bytes": found.size})
            facts = original.facts
            if not self._held.has(facts):
                self._originals.append(self._placed(original, found.original))
                self._held.opened.add(facts)
        fields = found.model_dump(exclude={"thumbnail", "traces", "original"})
        self._results.append(
            fields | {"path": os.fsencode(path), "facts": facts, "frames": found.frames}
        )
        if len(self._results) == RESULTS:
            self._convert()

    def _placed(self, original: Original, content: bytes) -> Original:
        place = self._held.place(original.sha256)
        if place is None:
            row = self._packer.add(Packed(original.sha256, original.format, content))
            place = HERE, row
            self._held.new[original.sha256] = place
        return replace(original, pack=place[0], row=place[1])

    def close(self) -> Landed:
        """Store the pack, and what was found in it."""
        pack = HERE
        if self._packer.bytes:
            packed = self._packer.close()
            pack = deliver(self._table.store, packed, self._packs)
            for row, sha256 in enumerate(packed.sha256s):
                self._held.new[sha256] = pack, row
        rows = [replace(one, pack=one.pack or pack) for one in self._originals]
        self._convert()
        parts = self._table.write_all(table_of(rows, Original)) if rows else []
        return Landed(pa.concat_tables(self._columns), parts)

    def _convert(self) -> None:
        self._columns.append(pa.Table.from_pylist(self._results, schema=OPENED))
        self._results = []


def decode_apart(data: bytes, *, limits: Limits) -> NDArray[np.uint8]:
    """`imaging.decode` in a process of its own.

    Raises:
        BadImage: as `imaging.decode`, or the file ended that process or kept it busy.
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
        message = f"Opening the file took over {SECONDS_PER_FILE:g} seconds. {advice}"
        return BadImage("timeout", message)
    return BadImage(
        "process_died",
        "The process that opened the file ended: the file crashes its decoder or takes more memory "
        f"than this machine has. {advice}",
    )
