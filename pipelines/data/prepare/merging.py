"""Merges small parts of prepared images, so that reading stays fast after many deliveries.

A merged part contains the rows, listings and features of the small ones, so nothing is decoded or
computed again. Only the listings of the small parts are deleted: running readers still find the
parts, and ``medloop prune`` removes them after a day.
"""

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

from pipelines.data.parquet_files import parquet_of, read_table
from pipelines.data.prepare.executor import PART, PART_OPTIONS
from pipelines.data.prepare.listings import (
    LISTED,
    features_path,
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
"""Number of small parts that starts a merge; each delivery adds at least one."""
SMALL = 8
"""A part is small if this many of its size fit into one of the largest size."""


@dataclass(frozen=True)
class MergeJob:
    """The arguments of `merge_parts`.

    Args:
        settings: how to reach the store.
        folder: store path of the prepared images.
        features: store paths of all folders of features.
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
        most: most images of a part.

    Returns:
        Number of merged parts.
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
    for part in small.keys() - {
        row["part"] for row in made
    }:  # a single part has the same name as before
        _retire(store, part, images.path, folders)
    logger.info("%s: %d small parts were merged", images.path, len(small))
    return len(small)


def _retire(store: Store, part: str, folder: str, features: Sequence[str]) -> None:
    """Delete the listing of a part; prune counts the age of its files from now on."""
    for path in (part_path(folder, part), *(features_path(one, part) for one in features)):
        if store.exists(path):
            store.set_modified(path, time.time())
    store.delete(listing_path(folder, part))


def _planned(small: dict[str, int], most: int) -> Iterator[tuple[int, str]]:
    """Pairs of (number of the merged part, small part); at most ``most`` images each."""
    number = total = 0
    for part, rows in small.items():
        if total + rows > most:
            number, total = number + 1, 0
        total += rows
        yield number, part


def merge_parts(batches: Iterator[pa.RecordBatch], *, job: MergeJob) -> Iterator[pa.RecordBatch]:
    """Merge the parts of a partition into one; called by ``mapInArrow``."""
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
    """Merge the features of parts, if all of them have features."""
    existing = {f"{folder}/{name}" for name in store.names(folder)}
    if not existing >= {features_path(folder, part) for part in parts}:
        return
    tables = []
    for part in parts:
        with opened(store, features_path(folder, part)) as features:
            tables.append(features.read())
    table = pa.concat_tables(tables)
    moved = {"part": [name] * table.num_rows, "row": np.arange(table.num_rows, dtype=np.int32)}
    for column, values in moved.items():
        field = table.schema.field(column)
        index = table.schema.get_field_index(column)
        table = table.set_column(index, field, pa.array(values, field.type))
    file.write_bytes(parquet_of(table))
    store.replace_file(file, features_path(folder, name))


def _listing(store: Store, folder: str, parts: list[str]) -> bytes:
    """The merged listings of parts: rows and lesions are numbered through."""
    tables, rows, lesions = [], 0, 0
    for part in parts:
        table = read_table(store, listing_path(folder, part))
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
    return parquet_of(pa.concat_tables(tables))
