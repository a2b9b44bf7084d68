"""Small parts of prepared images become large ones, so that reading them does not take longer with
each delivery.

A merged part takes over the rows, the listings and the features of those it is made of, so nothing
is decoded or computed again. The small parts lose their listings only: whoever reads them meanwhile
finds them where they were, and ``medloop prune`` removes them after a day.
"""

import io
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.data.prepare.executor import PART, PART_OPTIONS
from pipelines.data.prepare.listings import (
    LISTED,
    SUFFIX,
    listing,
    listing_path,
    part_path,
    rows_of_parts,
)
from pipelines.hashing import file_digest
from pipelines.outputs import PreparedImages
from pipelines.settings import Settings
from pipelines.spark.parquet import opened
from pipelines.spark.session import told
from pipelines.stage import Context
from pipelines.storage import Store, open_store

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

logger = logging.getLogger(__name__)

MOST_SMALL = 32
"""Small parts from which they are merged: each delivery adds at least one."""
SMALL = 8
"""A part is small if so many of its size make at most one of the largest size."""


@dataclass(frozen=True)
class MergeJob:
    """What an executor has to know.

    Args:
        settings: how the store is reached.
        folder: store path of the prepared images.
        features: store paths of all folders of features; those of other images lack the parts.
    """

    settings: Settings
    folder: str
    features: tuple[str, ...]


def merge(spark: "SparkSession", context: Context, images: PreparedImages, *, most: int) -> int:
    """Merge the small parts of a folder, once there are `MOST_SMALL`.

    Args:
        spark: the session.
        context: settings and store.
        images: the folder.
        most: images of a part.

    Returns:
        How many were merged.
    """
    from pyspark.sql import functions as F

    store, rows = context.store, rows_of_parts(context.store, images.path)
    small = {part: count for part, count in sorted(rows.items()) if count * SMALL <= most}
    if len(small) < MOST_SMALL:
        return 0
    features = f"{images.dataset}/features"
    folders = tuple(f"{features}/{name}" for name in store.names(features))
    planned = list(_planned(small, most))
    tasks = planned[-1][0] + 1
    job = MergeJob(context.settings, images.path, folders)
    plan = spark.createDataFrame(planned, "number int, part string")
    ordered = plan.repartitionById(tasks, F.col("number")).sortWithinPartitions("part")
    with told(spark, what=f"Merging small parts of {images.dataset}", tasks=tasks):
        made = ordered.mapInArrow(partial(merge_parts, job=job), "part string").collect()
    for part in small.keys() - {row["part"] for row in made}:  # one alone comes out as it was
        _retire(store, part, images.path, folders)
    logger.info("%s: %d small parts were merged", images.path, len(small))
    return len(small)


def _retire(store: Store, part: str, folder: str, features: Sequence[str]) -> None:
    """Remove the listing of a part; prune counts the age of its files from now on."""
    for path in (part_path(folder, part), *(f"{one}/{part}{SUFFIX}" for one in features)):
        if store.exists(path):
            store.set_modified(path, time.time())
    store.delete(listing_path(folder, part))


def _planned(small: dict[str, int], most: int) -> Iterator[tuple[int, str]]:
    """Number of the merged part, and small part; none gets more than ``most`` images."""
    number = total = 0
    for part, rows in small.items():
        if total + rows > most:
            number, total = number + 1, 0
        total += rows
        yield number, part


def merge_parts(batches: Iterator[pa.RecordBatch], *, job: MergeJob) -> Iterator[pa.RecordBatch]:
    """Write one part of all parts that a partition names; ``mapInArrow`` calls this."""
    parts = [part for batch in batches for part in batch.column("part").to_pylist()]
    if not parts:
        return
    store = open_store(job.settings)
    with TemporaryDirectory(prefix="medloop-part-") as scratch:
        file = Path(scratch) / "part"
        with pq.ParquetWriter(file, PART, **PART_OPTIONS) as writer:
            for part in parts:
                with opened(store, part_path(job.folder, part)) as images:
                    for number in range(images.num_row_groups):
                        writer.write_table(images.read_row_group(number))
        name = file_digest(file)
        store.replace_file(file, part_path(job.folder, name))
        for folder in job.features:
            _merge_features(store, folder, parts, name, Path(scratch) / "features")
    store.create(listing_path(job.folder, name), _listing(store, job.folder, parts))
    yield pa.RecordBatch.from_pydict({"part": [name]})


def _merge_features(store: Store, folder: str, parts: list[str], name: str, file: Path) -> None:
    """Put the features of parts together, where all have some."""
    if not set(store.names(folder)) >= {f"{part}{SUFFIX}" for part in parts}:
        return
    tables = []
    for part in parts:
        with opened(store, f"{folder}/{part}{SUFFIX}") as features:
            tables.append(features.read())
    table = pa.concat_tables(tables)
    moved = {"part": [name] * table.num_rows, "row": np.arange(table.num_rows, dtype=np.int32)}
    for column, values in moved.items():
        field = table.schema.field(column)
        place = table.schema.get_field_index(column)
        table = table.set_column(place, field, pa.array(values, field.type))
    pq.write_table(table, file, compression="zstd")
    store.replace_file(file, f"{folder}/{name}{SUFFIX}")


def _listing(store: Store, folder: str, parts: list[str]) -> bytes:
    """The listings of parts as that of one: rows and lesions are counted on."""
    tables, rows, lesions = [], 0, 0
    for part in parts:
        table = pq.read_table(io.BytesIO(store.read(listing_path(folder, part))))
        has_lesion = pc.greater_equal(table["lesion"], 0)
        columns = {
            "row": pc.add(table["row"], rows),
            "lesion": pc.if_else(has_lesion, pc.add(table["lesion"], lesions), -1),
        }
        for name, values in columns.items():
            table = table.set_column(table.schema.get_field_index(name), name, values)
        tables.append(table.cast(LISTED))
        rows += table.num_rows
        lesions += pc.sum(has_lesion).as_py() or 0
    return listing(pa.concat_tables(tables))
