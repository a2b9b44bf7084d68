"""Originals in, one shard file out: the part of the preparation that runs in Spark's executors.

Rows arrive sorted by shard and position. They are decoded, fitted and written a row group at a
time, so memory does not grow with the shard, and the same rows give the same bytes. A task that
Spark runs twice writes the same file twice.
"""

import hashlib
import logging
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
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

from pipelines.data.prepare.pixel_stats import PixelCounts
from pipelines.errors import BadImage, MedloopError
from pipelines.failures import only_this_image
from pipelines.imaging import Box, Finder, Limits, crop_box, decode, fit, fit_mask
from pipelines.imaging.box import whole
from pipelines.imaging.lesion import LesionFinder
from pipelines.settings import Settings
from pipelines.spec import ImageSpec
from pipelines.storage import Store, open_store

logger = logging.getLogger(__name__)

COMPRESSION = "lz4"
"""Half the size on grey images, and four times as fast to read as zstd, which saves no more."""

SCHEMA = pa.schema(
    [
        ("pixels", pa.binary()),
        ("label", pa.int32()),
        ("sha256", pa.string()),
        ("group", pa.string()),
        ("source_path", pa.string()),
        ("source", pa.int32()),
        ("lesion", pa.binary()),
    ]
)

ORIGINAL = (
    *("name", "label", "sha256", "group", "source_path", "source", "finder"),
    *("content", "mask"),
)
"""Columns of the rows that arrive; ``mask`` is null where none came with the image, ``finder`` is
the place of the network that crops the image among the job's."""

ACCEPTED = Limits(max_bytes=sys.maxsize, max_pixels=sys.maxsize, min_side=1)
"""Whatever stands in a snapshot was within the limits of its day; today's may be narrower."""

Row = dict[str, Any]


@dataclass(frozen=True)
class ShardJob:
    """What an executor has to know.

    Args:
        settings: how the store is reached.
        folder: store path to write into.
        image: how a decoded picture is fitted.
        group_rows: images in a row group.
        segmenters: names, among the files that Spark has sent, of the networks that find the
            lesions to crop to; none where images are not cropped to lesions.
    """

    settings: Settings
    folder: str
    image: ImageSpec
    group_rows: int
    segmenters: tuple[str, ...] = ()


class ShardReport(BaseModel):
    """A shard that was written."""

    name: str
    rows: int
    sha256: str
    bytes: int
    counts: dict[int, tuple[int, list[list[int]]]]
    """Label → number of images, and their level counts, 3 x 256."""
    uncropped: dict[int, int] = {}
    """Label → images that are whole although the rest is cropped to lesions: none was found."""

    def pixel_counts(self) -> dict[int, PixelCounts]:
        """Label → level counts."""
        return {
            label: PixelCounts(rows, np.array(counts, np.int64))
            for label, (rows, counts) in self.counts.items()
        }


class ShardFailure(BaseModel):
    """Why a shard could not be written, for the driver to raise."""

    error: str
    """Name of the class in `pipelines.errors`."""
    reason: str | None
    message: str


def write_shards(batches: Iterator[pa.RecordBatch], *, job: ShardJob) -> Iterator[pa.RecordBatch]:
    """Write the shards of one partition; ``mapInArrow`` calls this.

    Args:
        batches: rows of `ORIGINAL`, those of a shard together and in order.
        job: the same for every partition.

    Yields:
        Batches with one column, ``report``: a `ShardReport` or `ShardFailure` as JSON.
    """
    store = open_store(job.settings)
    rows = (row for batch in batches for row in batch.to_pylist())
    for name, members in groupby(rows, key=itemgetter("name")):
        try:
            report: BaseModel = _write_shard(store, name, members, job=job)
        except MedloopError as error:
            reason = getattr(error, "reason", None)
            report = ShardFailure(error=type(error).__name__, reason=reason, message=str(error))
        yield pa.RecordBatch.from_pydict({"report": [report.model_dump_json()]})


@dataclass
class _Seen:
    """What is counted while images are written."""

    pixels: dict[int, PixelCounts] = field(default_factory=dict)
    uncropped: Counter[int] = field(default_factory=Counter)


@lru_cache(maxsize=16)
def _finder(archive: str) -> LesionFinder:
    """A network, compiled once in this process."""
    import cv2
    from pyspark import SparkFiles

    cv2.setNumThreads(1)  # as many workers as cores run side by side
    return LesionFinder(Path(SparkFiles.get(archive)))


def _write_shard(store: Store, name: str, rows: Iterator[Row], *, job: ShardJob) -> ShardReport:
    seen = _Seen()
    with TemporaryDirectory(prefix="medloop-shard-") as folder:
        file = Path(folder) / name
        with pq.ParquetWriter(
            file, SCHEMA, compression=COMPRESSION, use_dictionary=False, write_statistics=["label"]
        ) as writer:
            while members := list(islice(rows, job.group_rows)):
                writer.write_table(_row_group(members, seen, job=job))
        store.upload(file, f"{job.folder}/{name}")
        with file.open("rb") as written:
            digest = hashlib.file_digest(written, "sha256").hexdigest()
        counts = {label: (c.rows, c.counts.tolist()) for label, c in sorted(seen.pixels.items())}
        return ShardReport(
            name=name,
            rows=sum(c.rows for c in seen.pixels.values()),
            sha256=digest,
            bytes=file.stat().st_size,
            counts=counts,
            uncropped=dict(sorted(seen.uncropped.items())),
        )


def _row_group(rows: Iterable[Row], seen: _Seen, *, job: ShardJob) -> pa.Table:
    ready = []
    for row in rows:
        find: Finder | None = _finder(job.segmenters[row["finder"]]) if job.segmenters else None
        _require_unaltered(row)
        with accepted_image(row["source_path"]):
            picture, label = decode(row["content"], limits=ACCEPTED), row["label"]
            box = crop_box(picture, job.image, find)
            pixels = fit(picture, job.image, box)
            lesion = _lesion(row["mask"], picture, job.image, box)
        seen.uncropped[label] += int(find is not None and box == whole(picture))
        seen.pixels.setdefault(label, PixelCounts()).add(pixels)
        ready.append({**row, "pixels": pixels.tobytes(), "lesion": lesion})
    return pa.Table.from_pylist(ready, schema=SCHEMA)


def _lesion(
    mask: bytes | None, picture: NDArray[np.uint8], image: ImageSpec, box: Box
) -> bytes | None:
    """A mask, fitted as its picture is; see `pipelines.data.input.lesions`."""
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
