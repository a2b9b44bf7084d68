"""Scoring as a Spark job: the bundle out to the executors, the answers into files.

The bundle travels with the job (`pipelines.spark.sent`): executors need no MLflow and no shared
home.
"""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipelines.release.bundle import BundleManifest
from pipelines.scoring.subjects import Subject
from pipelines.scoring.worker import ScoreJob
from pipelines.spark import parquet
from pipelines.spark.sent import sent
from pipelines.spark.session import told
from pipelines.stage import Context

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROWS_PER_FILE = 500_000
"""Some 100 MB."""
OVERLAYS_PER_FILE = 2_000
"""Some 100 MB."""


class Kind(NamedTuple):
    """What is counted of an answer."""

    predicted: str | None
    abstained: bool | None
    review: bool | None
    reason: str | None


Tally = dict[Kind, int]
KINDS = "predicted string, abstained boolean, review boolean, reason string"


def score(
    spark: "SparkSession",
    context: Context,
    subject: Subject,
    *,
    bundle: Path,
    manifest: BundleManifest,
    target: str,
    cache: Path,
    overlays: bool,
) -> Tally:
    """Write the answers as Parquet files, and count what was written.

    Args:
        spark: where to run.
        context: settings and store.
        subject: the images.
        bundle: folder of the bundle.
        manifest: what it says.
        target: store path of the staging folder to write into.
        cache: where the executors keep compiled models.
        overlays: whether to draw overlays.
    """
    from pyspark.sql import functions as F

    with sent(spark, bundle) as archive:
        job = ScoreJob(archive, cache, overlays)
        rows = (
            subject.frame(spark, job, manifest.class_names)
            .withColumn("model_version", F.lit(manifest.model_version).cast("int"))
            .withColumn("run_id", F.lit(manifest.run_id))
        )
        known = ["source_path", "sha256", "label"]
        others = [name for name in rows.columns if name not in known]
        files = -(-subject.images // (OVERLAYS_PER_FILE if overlays else ROWS_PER_FILE))
        sorted_rows = (
            rows.select(*known, *(f"`{name}`" for name in others))
            .repartition(files, "sha256")
            .sortWithinPartitions("source_path", "sha256")
        )
        with told(spark, what=f"Scoring {manifest.dataset}", tasks=subject.tasks):
            parquet.write(sorted_rows, context, target)
        written = [context.store.uri(f"{target}/{name}") for name in context.store.names(target)]
        kinds = parquet.read(spark, context, KINDS, written)
        tally = kinds.groupBy(*Kind._fields).count().collect()
    return {Kind(*row[:-1]): row[-1] for row in tally}
