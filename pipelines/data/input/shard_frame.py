"""Prepared shards as a Spark DataFrame, for jobs that look at every image."""

from functools import reduce
from typing import TYPE_CHECKING

from pipelines.data.input.shards import ShardManifest
from pipelines.outputs import SPLITS, Prepared, SplitName
from pipelines.spark import parquet
from pipelines.stage import MANIFEST, Context

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

DDL = "pixels binary, label int, sha256 string, `group` string, source_path string"


def manifest_of(context: Context, prepared: Prepared) -> ShardManifest:
    """What a prepared folder of the store holds.

    Raises:
        NotFound: it is gone.
        StoreUnavailable: the store does not answer.
    """
    content = context.store.read_json(f"{prepared.path}/{MANIFEST}")
    return ShardManifest.model_validate(content)


def frame(
    spark: "SparkSession", context: Context, prepared: Prepared, manifest: ShardManifest
) -> "DataFrame":
    """Every image of every split: ``split`` and the columns of a shard; nothing is read yet."""
    splits = [split for split in SPLITS if manifest.splits[split].files]
    parts = [_split_frame(spark, context, prepared, manifest, split) for split in splits]
    return reduce(lambda first, second: first.unionByName(second), parts)


def _split_frame(
    spark: "SparkSession",
    context: Context,
    prepared: Prepared,
    manifest: ShardManifest,
    split: SplitName,
) -> "DataFrame":
    from pyspark.sql import functions as F

    files = [context.store.uri(f"{prepared.path}/{f.name}") for f in manifest.splits[split].files]
    return parquet.read(spark, context, DDL, files).withColumn("split", F.lit(split))
