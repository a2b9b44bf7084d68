"""Originals in, parts of prepared images out: what runs in Spark's executors.

Rows arrive sorted by part. They are decoded, fitted and written a row group at a time, so memory
does not grow with the part, and the same rows give the same bytes.
"""

import hashlib
import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel

from pipelines.data.prepare.listings import (
    IDENTITY,
    LISTED,
    SUMS,
    level_sums,
    listing,
    listing_path,
    part_path,
)
from pipelines.errors import BadImage, MedloopError
from pipelines.failures import only_this_image
from pipelines.hashing import file_digest
from pipelines.imaging import Box, Finder, Limits, crop_box, decode, fit, fit_mask
from pipelines.imaging.box import whole
from pipelines.imaging.lesion import LesionFinder
from pipelines.settings import Settings
from pipelines.spec import ImageSpec
from pipelines.storage import Store, open_store

logger = logging.getLogger(__name__)

ROW_GROUP_BYTES = 20 << 20
"""Pixels in a row group, before compression: what a writer or reader has to hold."""
PART = pa.schema(
    [
        *((name, pa.string()) for name in IDENTITY),
        ("pixels", pa.binary()),
        ("lesion", pa.binary()),
    ]
)
"""`IDENTITY`; ``pixels``: size * size * 3 bytes, uint8 RGB, row by row; ``lesion``: size * size
bytes, 1 on the lesion, 0 elsewhere, fitted as its image is; null where no mask came."""
PART_OPTIONS: dict[str, Any] = {
    "compression": "lz4",
    "use_dictionary": False,
    "write_statistics": ["sha256"],
}
"""LZ4: half the size on grey images, and four times as fast to read as zstd, which saves no
more."""
ORIGINAL = ("number", "sha256", "source_path", "finder", "mask", "content", "mask_content")
"""Columns of the rows that arrive. ``number`` is that of the part; ``finder`` is the number, among
the job's, of the network that crops the image; ``mask`` and ``mask_content`` are the sha256 and the
bytes of the mask that came with the image, empty and null without one."""
ACCEPTED = Limits(max_bytes=sys.maxsize, max_pixels=sys.maxsize, min_side=1)
"""Whatever is in a snapshot was within the limits of its day; today's may be narrower."""

Row = dict[str, Any]


@dataclass(frozen=True)
class PrepareJob:
    """What an executor has to know.

    Args:
        settings: how the store is reached.
        folder: store path of the prepared images.
        image: how a decoded image is fitted.
        networks: of the networks that find the lesions to crop to, the name among the files that
            Spark has sent and the sha256; none where images are not cropped to lesions.
    """

    settings: Settings
    folder: str
    image: ImageSpec
    networks: tuple[tuple[str, str], ...] = ()

    @property
    def group_rows(self) -> int:
        """Images in a row group."""
        return max(1, ROW_GROUP_BYTES // (self.image.size**2 * 3))


class PartReport(BaseModel):
    """A part that was written."""

    part: str
    """Sha256 of its bytes."""
    rows: int


class PartFailure(BaseModel):
    """Why a part could not be written, for the driver to raise."""

    error: str
    """Name of the class in `pipelines.errors`."""
    reason: str | None
    message: str


def write_parts(batches: Iterator[pa.RecordBatch], *, job: PrepareJob) -> Iterator[pa.RecordBatch]:
    """Write the parts of one partition; ``mapInArrow`` calls this.

    Args:
        batches: rows of `ORIGINAL`, those of a part together and in order.
        job: the same for every partition.

    Yields:
        Batches with one column, ``report``: a `PartReport` or `PartFailure` as JSON.
    """
    store = open_store(job.settings)
    rows = (row for batch in batches for row in batch.to_pylist())
    for _, members in groupby(rows, key=itemgetter("number")):
        try:
            report: BaseModel = _write_part(store, members, job=job)
        except MedloopError as error:
            reason = getattr(error, "reason", None)
            report = PartFailure(error=type(error).__name__, reason=reason, message=str(error))
        yield pa.RecordBatch.from_pydict({"report": [report.model_dump_json()]})


@lru_cache(maxsize=16)
def _finder(archive: str) -> LesionFinder:
    """A network, compiled once in this process."""
    import cv2
    from pyspark import SparkFiles

    cv2.setNumThreads(1)  # as many workers as cores run side by side
    return LesionFinder(Path(SparkFiles.get(archive)))


def _write_part(store: Store, rows: Iterator[Row], *, job: PrepareJob) -> PartReport:
    listed: list[Row] = []
    with TemporaryDirectory(prefix="medloop-part-") as folder:
        file = Path(folder) / "part"
        with pq.ParquetWriter(file, PART, **PART_OPTIONS) as writer:
            while members := list(islice(rows, job.group_rows)):
                writer.write_table(_row_group(members, listed, job=job))
        part = file_digest(file)
        store.replace_file(file, part_path(job.folder, part))
    content = listing(pa.Table.from_pylist(listed, schema=LISTED))
    store.create(listing_path(job.folder, part), content)
    return PartReport(part=part, rows=len(listed))


def _row_group(rows: Iterable[Row], listed: list[Row], *, job: PrepareJob) -> pa.Table:
    """Prepare a few images, and add a row for each to ``listed``."""
    ready = []
    lesions = sum(row["lesion"] >= 0 for row in listed)
    for row in rows:
        archive, network = job.networks[row["finder"]] if job.networks else ("", "")
        find: Finder | None = _finder(archive) if archive else None
        _require_unaltered(row)
        with accepted_image(row["source_path"]):
            picture = decode(row["content"], limits=ACCEPTED)
            box = crop_box(picture, job.image, find)
            pixels = fit(picture, job.image, box)
            lesion = _lesion(row["mask_content"], picture, job.image, box)
        sums = level_sums(pixels)
        identity = {"sha256": row["sha256"], "finder": network, "mask": row["mask"]}
        ready.append({**identity, "pixels": pixels.tobytes(), "lesion": lesion})
        listed.append(
            identity
            | {"row": len(listed), "lesion": -1 if lesion is None else lesions}
            | {"is_whole": find is not None and box == whole(picture)}
            | dict(zip(SUMS, np.concatenate(sums).tolist(), strict=True))
        )
        lesions += lesion is not None
    return pa.Table.from_pylist(ready, schema=PART)


def _lesion(
    mask: bytes | None, picture: NDArray[np.uint8], image: ImageSpec, box: Box
) -> bytes | None:
    """A mask, fitted as its image is."""
    if mask is None:
        return None
    return fit_mask(decode(mask, limits=ACCEPTED), picture, image, box).tobytes()


def _require_unaltered(row: Row) -> None:
    """Raises BadImage: the bytes of an original are not those that were accepted."""
    if hashlib.sha256(row["content"]).hexdigest() != row["sha256"]:
        raise BadImage(
            "altered",
            f"{row['source_path']}: its bytes in the snapshot are not those that landed (sha256 "
            "differs). Ingest it again from its source.",
        )


@contextmanager
def accepted_image(path: str) -> Iterator[None]:
    """Name the image, accepted at landing, that a block cannot use.

    Args:
        path: its source path.

    Raises:
        BadImage: whatever went wrong with it, foreseen or not.
    """
    try:
        with only_this_image(logger, path):
            yield
    except BadImage as error:
        raise BadImage(
            error.reason,
            f"{path} was accepted at landing but cannot be used: {error} "
            "This is a fault of Medloop; please report it with that file.",
        ) from error
