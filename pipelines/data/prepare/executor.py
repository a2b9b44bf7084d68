"""Prepares images in Spark executors: reads originals, writes parts.

Rows arrive sorted by part. They are decoded, fitted and written one row group at a time, so memory
does not grow with the part. The same rows give the same bytes.
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

from pipelines.data.parquet_files import parquet_of
from pipelines.data.prepare.listings import (
    IDENTITY,
    LISTED,
    SUMS,
    level_sums,
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
"""Bytes of pixels in a row group, before compression."""
PART = pa.schema(
    [
        *((name, pa.string()) for name in IDENTITY),
        ("pixels", pa.binary()),
        ("lesion", pa.binary()),
    ]
)
"""`IDENTITY`; ``pixels``: size * size * 3 bytes, uint8 RGB, row by row; ``lesion``: size * size
bytes, 1 on the lesion, 0 elsewhere, fitted like its image; null without a mask."""
PART_OPTIONS: dict[str, Any] = {
    "compression": "lz4",
    "use_dictionary": False,
    "write_statistics": ["sha256"],
}
"""LZ4 halves the size of grey images, as zstd does, and is four times as fast to read."""
ORIGINAL = ("number", "sha256", "source_path", "finder", "mask", "content", "mask_content")
"""Columns of the input rows. ``number`` is that of the part; ``finder`` is the index of the network
in the job; ``mask`` and ``mask_content`` are the sha256 and the bytes of the mask, empty and null
without one."""
ACCEPTED = Limits(max_bytes=sys.maxsize, max_pixels=sys.maxsize, min_side=1)
"""No limits: landing has accepted the images, and the limits of the spec may be lower now."""

Row = dict[str, Any]


@dataclass(frozen=True)
class PrepareJob:
    """The arguments of `write_parts`.

    Args:
        settings: how to reach the store.
        folder: store path of the prepared images.
        image: how to fit a decoded image.
        networks: name among the files that Spark sent, and sha256, of the networks that find
            lesions; empty if images are not cropped to lesions.
    """

    settings: Settings
    folder: str
    image: ImageSpec
    networks: tuple[tuple[str, str], ...] = ()

    @property
    def group_rows(self) -> int:
        """Number of images in a row group."""
        return max(1, ROW_GROUP_BYTES // (self.image.size**2 * 3))


class PartReport(BaseModel):
    """A part was written."""

    part: str
    """Sha256 of its bytes."""
    rows: int


class PartFailure(BaseModel):
    """A part could not be written; the driver raises the error."""

    error: str
    """Name of the class in `pipelines.errors`."""
    reason: str | None
    message: str


def write_parts(batches: Iterator[pa.RecordBatch], *, job: PrepareJob) -> Iterator[pa.RecordBatch]:
    """Write the parts of one partition; called by ``mapInArrow``.

    Args:
        batches: rows of `ORIGINAL`, sorted by part.
        job: the same for all partitions.

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
    """A network, compiled once per process."""
    import cv2
    from pyspark import SparkFiles

    cv2.setNumThreads(1)  # there are as many workers as cores
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
    content = parquet_of(pa.Table.from_pylist(listed, schema=LISTED))
    store.create(listing_path(job.folder, part), content)
    return PartReport(part=part, rows=len(listed))


def _row_group(rows: Iterable[Row], listed: list[Row], *, job: PrepareJob) -> pa.Table:
    """Prepare some images, and add a row for each to ``listed``."""
    part_rows = []
    lesions = sum(row["lesion"] >= 0 for row in listed)
    for row in rows:
        archive, network = job.networks[row["finder"]] if job.networks else ("", "")
        find: Finder | None = _finder(archive) if archive else None
        _require_unaltered(row)
        with accepted_image(row["source_path"]):
            decoded = decode(row["content"], limits=ACCEPTED)
            box = crop_box(decoded, job.image, find)
            pixels = fit(decoded, job.image, box)
            lesion = _lesion(row["mask_content"], decoded, job.image, box)
        sums = level_sums(pixels)
        identity = {"sha256": row["sha256"], "finder": network, "mask": row["mask"]}
        part_rows.append({**identity, "pixels": pixels.tobytes(), "lesion": lesion})
        listed.append(
            identity
            | {"row": len(listed), "lesion": -1 if lesion is None else lesions}
            | {"is_whole": find is not None and box == whole(decoded)}
            | dict(zip(SUMS, np.concatenate(sums).tolist(), strict=True))
        )
        lesions += lesion is not None
    return pa.Table.from_pylist(part_rows, schema=PART)


def _lesion(
    mask: bytes | None, decoded: NDArray[np.uint8], image: ImageSpec, box: Box
) -> bytes | None:
    """A mask, fitted like its image."""
    if mask is None:
        return None
    return fit_mask(decode(mask, limits=ACCEPTED), decoded, image, box).tobytes()


def _require_unaltered(row: Row) -> None:
    """Raise BadImage if the bytes of an original are not those that were accepted."""
    if hashlib.sha256(row["content"]).hexdigest() != row["sha256"]:
        raise BadImage(
            "altered",
            f"{row['source_path']}: its bytes in the snapshot differ from those that landed "
            "(sha256). Ingest the file again.",
        )


@contextmanager
def accepted_image(path: str) -> Iterator[None]:
    """Add the source path of an accepted image to any error of the block.

    Args:
        path: its source path.

    Raises:
        BadImage: the block raised any error.
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
