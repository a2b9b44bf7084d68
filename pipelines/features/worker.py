"""What runs in Spark's Python workers: parts of prepared images in, their features out."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines.data.input.arrays import decode_column
from pipelines.data.prepare.listings import features_path, part_path
from pipelines.features import small, texture
from pipelines.features.network import Describe, load
from pipelines.settings import Settings
from pipelines.spark.parquet import opened
from pipelines.storage import Store, open_store

FEATURES = pa.schema(
    [
        ("part", pa.string()),
        ("row", pa.int32()),
        ("sha256", pa.string()),
        ("values", pa.list_(pa.float32())),
    ]
)
"""The features of a part: one row an image, in the part's order. ``part`` is its name, ``row`` its
place in the part, ``sha256`` that of the original."""


@dataclass(frozen=True)
class DescribeJob:
    """What a worker has to know."""

    settings: Settings
    """How the store is reached."""
    images: str
    """Store path of the prepared images."""
    folder: str
    """Store path of the features."""
    kind: str
    """``deep``, ``texture`` or ``pixels``."""
    size: int
    """Side of the square images in pixels."""
    archive: str | None
    """Name of the exported backbone among the files that Spark has sent, for ``deep``."""


def describe_parts(
    batches: Iterator[pa.RecordBatch], *, job: DescribeJob
) -> Iterator[pa.RecordBatch]:
    """Describe the images of parts; ``mapInArrow`` calls this.

    Args:
        batches: rows with ``part``.
        job: the same for every task.

    Yields:
        The same rows.
    """
    store, describe = open_store(job.settings), _describe(job)
    for batch in batches:
        for part in batch.column("part").to_pylist():
            _describe_part(store, part, describe, job=job)
        yield batch.select(["part"])


def _describe_part(store: Store, part: str, describe: Describe, *, job: DescribeJob) -> None:
    """Write the features of a part, a row group at a time: memory does not grow with the part."""
    with (
        TemporaryDirectory(prefix="medloop-") as scratch,
        opened(store, part_path(job.images, part)) as images,
    ):
        local, first = Path(scratch) / "features.parquet", 0
        with pq.ParquetWriter(local, FEATURES, compression="zstd") as writer:
            for number in range(images.num_row_groups):
                group = images.read_row_group(number, ["sha256", "pixels"])
                shape = (job.size, job.size, 3)
                values = describe(decode_column(group["pixels"], np.uint8, shape))
                rows = np.arange(first, first + len(values), dtype=np.int32)
                columns = [[part] * len(values), rows, group["sha256"], list(values)]
                writer.write_table(pa.table(columns, schema=FEATURES))
                first += len(values)
        store.replace_file(local, features_path(job.folder, part))


def _describe(job: DescribeJob) -> Describe:
    if job.kind == "deep":
        from pyspark import SparkFiles

        return load(Path(SparkFiles.get(str(job.archive))))
    one = {"texture": texture.describe, "pixels": small.describe}[job.kind]

    def describe(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.stack([one(small.grey(image)) for image in images])

    return describe
