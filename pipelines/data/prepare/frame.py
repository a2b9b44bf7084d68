"""Prepared images as a Spark DataFrame, for jobs that look at every image."""

from typing import TYPE_CHECKING

import pyarrow as pa

from pipelines.data.prepare.listings import IDENTITY, has_copies, part_path
from pipelines.outputs import Prepared
from pipelines.spark import parquet
from pipelines.stage import Context

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

PASSED = ["split", "label", "sha256", "group", "source_path"]


def frame(
    spark: "SparkSession", context: Context, prepared: Prepared, rows: pa.Table
) -> "DataFrame":
    """Every image of every split: `PASSED` and ``pixels``; nothing is read yet.

    Args:
        spark: the session.
        context: settings and store.
        prepared: the training set.
        rows: of `keys.placed`.
    """
    from pyspark.sql import functions as F

    parts = rows["part"].unique().to_pylist()
    files = [context.store.uri(part_path(prepared.images, part)) for part in sorted(parts)]
    ddl = ", ".join([*(f"{name} string" for name in IDENTITY), "pixels binary"])
    wanted = rows.select([*dict.fromkeys([*IDENTITY, *PASSED])]).to_pandas()
    found = parquet.read(spark, context, ddl, files).join(
        F.broadcast(spark.createDataFrame(wanted)), IDENTITY
    )
    if has_copies(context.store, prepared.images, parts):
        found = found.dropDuplicates([*IDENTITY, "split", "source_path"])
    return found.select(*PASSED, "pixels")
