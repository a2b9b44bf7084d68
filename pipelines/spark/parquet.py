"""Parquet files of the store as frames, and frames as Parquet files of the store.

Spark's own client reads and writes HDFS and folders. It has none for buckets: those are a Hadoop
library of 300 MB. There the Python of the executors does it, through the store, so that credentials
and settings are the same everywhere.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.settings import Settings
from pipelines.stage import Context
from pipelines.storage import Store, open_store
from pipelines.storage.object_store import ObjectStore

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

TASK_BYTES = 64 << 20
"""Compressed bytes of a file that one task reads."""
BATCH_ROWS = 64
"""Rows at a time between Python and the JVM: originals can be megabytes each."""


def read(spark: "SparkSession", context: Context, ddl: str, files: Sequence[str]) -> "DataFrame":
    """Columns of files; nothing but the list of their row groups is read yet.

    Args:
        spark: the session.
        context: settings and store.
        ddl: the columns, as Spark writes a schema. What a file lacks is null.
        files: URIs in the store, of `Store.uri`, at least one.
    """
    store = context.store
    if not isinstance(store, ObjectStore):
        return spark.read.schema(ddl).parquet(*files)
    from pyspark.sql import functions as F
    from pyspark.sql.pandas.types import to_arrow_schema
    from pyspark.sql.types import StructType

    paths = [file.removeprefix(f"{store.root}/") for file in files]
    pieces = [piece for path in paths for piece in _pieces(store, path)]
    listed = [(task, path, groups) for task, (path, groups) in enumerate(pieces)]
    plan = spark.createDataFrame(listed, "task int, path string, row_groups array<int>")
    schema = to_arrow_schema(StructType.fromDDL(ddl))
    return plan.repartitionById(max(1, len(pieces)), F.col("task")).mapInArrow(
        partial(_read, settings=context.settings, schema=schema), ddl
    )


@contextmanager
def opened(store: Store, path: str) -> Iterator[pq.ParquetFile]:
    """A Parquet file of a store; only what is needed is read where the store can seek."""
    with store.open(path) as file:
        if getattr(file, "seekable", bool)():  # HDFS's stream is read from its beginning
            with pq.ParquetFile(file) as parquet:
                yield parquet
            return
    with tempfile.TemporaryDirectory(prefix="medloop-") as folder:
        local = Path(folder) / "table.parquet"
        store.download(path, local)
        with pq.ParquetFile(local) as parquet:
            yield parquet


def write(frame: "DataFrame", context: Context, folder: str) -> None:
    """Write a frame into a folder of the store, a file for each of its partitions that has rows.

    A task that Spark runs twice writes the same file twice.

    Args:
        frame: the rows.
        context: settings and store.
        folder: path in the store, in what `Store.commit` yields.
    """
    store = context.store
    if not isinstance(store, ObjectStore):
        frame.write.mode("append").parquet(store.uri(folder), compression="zstd")
        return
    names = frame.columns
    put = partial(_write, settings=context.settings, folder=folder, names=names)
    # `mapInArrow` takes a dot in the name of a column for a field.
    frame.toDF(*(f"c{n}" for n in range(len(names)))).mapInArrow(put, "name string").collect()


def _pieces(store: Store, path: str) -> Iterator[tuple[str, list[int]]]:
    """Row groups of a file, as many as make a task."""
    with opened(store, path) as file:
        about = file.metadata
        sizes = [about.row_group(n).total_byte_size for n in range(about.num_row_groups)]
    groups: list[int] = []
    for number, size in enumerate(sizes):
        if groups and sum(sizes[n] for n in groups) + size > TASK_BYTES:
            yield path, groups
            groups = []
        groups.append(number)
    if groups:
        yield path, groups


def _read(
    batches: Iterator[pa.RecordBatch], *, settings: Settings, schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    store = open_store(settings)
    for piece in (row for batch in batches for row in batch.to_pylist()):
        with opened(store, piece["path"]) as file:
            names = [name for name in schema.names if name in file.schema_arrow.names]
            for batch in file.iter_batches(BATCH_ROWS, piece["row_groups"], names):
                yield pa.RecordBatch.from_arrays(
                    [
                        batch[field.name].cast(field.type)
                        if field.name in names
                        else pa.nulls(batch.num_rows, field.type)
                        for field in schema
                    ],
                    schema=schema,
                )


def _write(
    batches: Iterator[pa.RecordBatch], *, settings: Settings, folder: str, names: list[str]
) -> Iterator[pa.RecordBatch]:
    from pyspark import TaskContext

    first = next(batches, None)
    task = TaskContext.get()
    if first is None or task is None:
        return
    name = f"part-{task.partitionId():05}.parquet"
    with tempfile.TemporaryDirectory(prefix="medloop-") as scratch:
        local = Path(scratch) / name
        schema = first.rename_columns(names).schema
        with pq.ParquetWriter(local, schema, compression="zstd") as writer:
            for batch in chain([first], batches):
                writer.write_batch(batch.rename_columns(names))
        open_store(settings).upload(local, f"{folder}/{name}")
    yield pa.RecordBatch.from_pydict({"name": [name]})
