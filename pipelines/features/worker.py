"""What runs in Spark's Python workers: batches of prepared images in, rows of numbers out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from pipelines.data.input.arrays import decode_column
from pipelines.features import small, texture
from pipelines.features.network import Network, load

KNOWN = ("split", "label", "sha256", "source_path", "group")
"""Columns that are passed on; ``pixels`` are not."""
VALUES = "values"
DDL = (
    "split string, label int, sha256 string, source_path string, `group` string, "
    "values array<float>"
)

Images = NDArray[np.uint8]
Describe = Callable[[Images], NDArray[np.float32]]


@dataclass(frozen=True)
class DescribeJob:
    """What a worker has to know."""

    kind: str
    """``deep``, ``texture`` or ``pixels``."""
    size: int
    """Side of the square images in pixels."""
    archive: str | None
    """Name of the exported backbone among the files that Spark has sent, for ``deep``."""


def describe_batches(
    batches: Iterator[pa.RecordBatch], *, job: DescribeJob
) -> Iterator[pa.RecordBatch]:
    """Describe images; ``mapInArrow`` calls this.

    Args:
        batches: rows with `KNOWN` and ``pixels``.
        job: the same for every task.

    Yields:
        The same rows: `KNOWN` and `VALUES`.
    """
    describe = _describe(job)
    for batch in batches:
        images = decode_column(batch.column("pixels"), np.uint8, (job.size, job.size, 3))
        values = describe(images)
        rows = {name: batch.column(name) for name in KNOWN}
        yield pa.RecordBatch.from_pydict(rows | {VALUES: _lists(values)})


def grey(image: Images) -> Images:
    """A colour image's shades (ITU-R 601 luma), uint8 (height, width)."""
    return np.asarray(Image.fromarray(image).convert("L"))


def _describe(job: DescribeJob) -> Describe:
    if job.kind == "deep":
        assert job.archive is not None
        return _network(job.archive)
    one = {"texture": texture.describe, "pixels": small.describe}[job.kind]
    return lambda images: np.stack([one(grey(image)) for image in images])


@lru_cache(maxsize=1)
def _network(archive: str) -> Network:
    """The backbone, compiled once in this process."""
    from pyspark import SparkFiles

    return load(Path(SparkFiles.get(archive)))


def _lists(values: NDArray[np.float32]) -> pa.ListArray:
    ends = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
    return pa.ListArray.from_arrays(ends, values.astype(np.float32).ravel())
