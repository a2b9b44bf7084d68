"""Snapshot and split → model-ready shards, with Spark.

The snapshot's packed originals are read once, brought to their shards while still compressed
(so that little travels), and decoded, fitted and written by the executors. Which image stands
where is decided beforehand by `pipelines.data.prepare.sharding`: the same inputs give the same
files, bit for bit, whatever machines Spark uses.
"""

import io
import logging
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial, reduce
from operator import add
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow.parquet as pq
from pydantic import TypeAdapter

from pipelines import errors
from pipelines.data import revisions
from pipelines.data.prepare import pixel_stats, shard_writer, sharding
from pipelines.data.prepare.pixel_stats import PixelCounts
from pipelines.data.prepare.segmenters import Segmenters, fetch_segmenter
from pipelines.data.prepare.shard_writer import ShardFailure, ShardJob, ShardReport
from pipelines.data.prepare.sharding import ShardLayout
from pipelines.data.row_files import DIVIDED
from pipelines.decoding import pixel_version
from pipelines.errors import BadImage, MedloopError, NotFound
from pipelines.outputs import SPLITS, Prepared, Snapshot, Split
from pipelines.spark import parquet
from pipelines.spark.sent import sent
from pipelines.spark.session import spark_session, told
from pipelines.spec import DatasetSpec
from pipelines.stage import MANIFEST, Context, code_version, fingerprint, standing

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

logger = logging.getLogger(__name__)

MASK = ("mask_sha256", "mask_file")
"""Columns of a plan that say which mask came with an image, and the packed file it stands in."""

Counts = dict[str, dict[int, PixelCounts]]
"""Split → label → level counts."""


def run(
    spec: DatasetSpec,
    context: Context,
    snapshot: Snapshot,
    split: Split,
    segmenters: Segmenters | None = None,
) -> Prepared:
    """Prepare every image of a split; does nothing where the shards stand already.

    Args:
        spec: of the data set.
        context: settings and store.
        snapshot: the originals.
        split: which of them, and where they stand.
        segmenters: find the lesions to crop to, where the spec says so.

    Raises:
        BadImage: an accepted original cannot be decoded or has been altered; names its path.
        NotFound: the snapshot lacks images that the split names, or a segmenter is gone.
        StackError: Java is missing, or Spark does not start.
        StoreUnavailable: the store does not answer.
    """
    assert (segmenters is not None) == (spec.image.crop == "lesion"), spec.image.crop
    named = [snapshot.id, split.id, spec.image, spec.class_names, spec.split.seed]
    code = _code(finder=segmenters is not None)
    identity = fingerprint(*named, code, *(segmenters.identity() if segmenters else []))
    path = f"{spec.name}/prepared/{identity}"
    if (done := standing(context, path, Prepared)) is not None:
        logger.info("The shards %s stand already", context.store.uri(path))
        return done
    images = listed_images(context, snapshot, split)
    layout = ShardLayout(spec.image.size)
    plan = sharding.plan_shards(images, seed=spec.split.seed, shard_rows=layout.shard_rows)
    plan = plan.merge(_masks(context, snapshot), on="sha256", how="left")
    plan["finder"] = _finders(plan, segmenters)
    plan["label"] = plan["label"].map(spec.class_names.index).astype("int32")
    prepared = Prepared(
        dataset=spec.name,
        id=identity,
        snapshot=snapshot.path,
        split=split.path,
        path=path,
        rows={name: int((plan["split"] == name).sum()) for name in SPLITS},
        segmenter=segmenters.final.path if segmenters else None,
    )
    with context.store.commit(path) as staging:
        job = ShardJob(
            settings=context.settings,
            folder=staging,
            image=spec.image,
            group_rows=layout.group_rows,
        )
        shards = _write(spec, context, plan, job, segmenters=segmenters)
        context.store.write_json(f"{staging}/stats.json", _stats(spec, shards))
        context.store.write_json(f"{staging}/{MANIFEST}", _manifest(spec, prepared, shards))
    return prepared


def _code(*, finder: bool = False) -> str:
    """What decides a pixel's value or place."""
    ours = (sys.modules[__name__], sharding, pixel_stats, shard_writer)
    return fingerprint(code_version(*ours), pixel_version(finder=finder))


def listed_images(context: Context, snapshot: Snapshot, split: Split) -> pd.DataFrame:
    """The split's images, each with the ``pack`` that holds its bytes."""
    index = revisions.files(context, snapshot, ["sha256", "source_path", "pack"]).to_pandas()
    rows = _read(context, f"{split.path}/split.parquet", DIVIDED.names)
    columns = ["sha256", "source_path", "label", "group", "split", "source"]
    rows = rows.reindex(columns=columns).fillna({"source": 0}).astype({"source": "int32"})
    images = rows[rows["split"].notna()].merge(index, on=["sha256", "source_path"], how="left")
    if images["pack"].isna().any():
        lost = images.loc[images["pack"].isna(), "source_path"]
        raise NotFound(
            f"{len(lost)} images of {split.path} are not in {snapshot.path}, such as "
            f"{lost.iloc[0]}. Split this snapshot anew."
        )
    return images


def _masks(context: Context, snapshot: Snapshot) -> pd.DataFrame:
    """Image (``sha256``), its mask (``mask_sha256``) and the packed ``mask_file`` that holds it."""
    listed = revisions.masks(context, snapshot).select(["image", "sha256", "pack"])
    masks: pd.DataFrame = listed.to_pandas()
    return masks.set_axis(["sha256", *MASK], axis="columns").astype("object")


def _read(context: Context, path: str, columns: list[str]) -> pd.DataFrame:
    """Those of the columns that the table has: an older Medloop's may lack some."""
    table = pq.ParquetFile(io.BytesIO(context.store.read(path)))
    known = [name for name in columns if name in table.schema_arrow.names]
    frame: pd.DataFrame = table.read(known).to_pandas()
    return frame


def _write(
    spec: DatasetSpec,
    context: Context,
    plan: pd.DataFrame,
    job: ShardJob,
    *,
    segmenters: Segmenters | None,
) -> list[ShardReport]:
    shards = int(plan["shard"].nunique())
    logger.info("Preparing %d images of %s in %d shards", len(plan), spec.name, shards)
    with (
        spark_session(context.settings, name=f"prepare {spec.name}") as spark,
        _sent(spark, context, segmenters) as archives,
    ):
        job = replace(job, segmenters=archives)
        originals = _originals(spark, context, plan)
        written = originals.mapInArrow(partial(shard_writer.write_shards, job=job), "report string")
        with told(spark, what=f"Preparing {spec.name}", tasks=shards):
            reports = [_accept(row["report"]) for row in written.collect()]
    _require_all(plan, reports)
    return sorted(reports, key=lambda report: report.name)


@contextmanager
def _sent(
    spark: "SparkSession", context: Context, segmenters: Segmenters | None
) -> Iterator[tuple[str, ...]]:
    """The names of the networks at the executors, in the order of `Segmenters.every`."""
    with ExitStack() as sending:
        yield tuple(
            sending.enter_context(sent(spark, fetch_segmenter(context, one.path)))
            for one in (segmenters.every if segmenters else ())
        )


def _finders(plan: pd.DataFrame, segmenters: Segmenters | None) -> "pd.Series[int]":
    """Which network crops each image: its place among those that are sent."""
    places = zip(plan["split"], plan["group"], strict=True)
    chosen = [segmenters.place_of(*place) if segmenters else 0 for place in places]
    return pd.Series(chosen, index=plan.index, dtype="int32")


def _originals(spark: "SparkSession", context: Context, plan: pd.DataFrame) -> "DataFrame":
    """The originals of a plan: one partition a shard, its rows in order."""
    from pyspark.sql import functions as F

    files = [context.store.uri(file) for file in sorted(plan["pack"].unique())]
    packed = parquet.read(spark, context, "sha256 string, content binary", files)
    places = spark.createDataFrame(plan.drop(columns=["pack", "split", *MASK]))
    return (
        packed.join(F.broadcast(places), "sha256")
        .join(_packed_masks(spark, context, plan), "sha256", "left")
        .repartitionById(int(plan["shard"].nunique()), F.col("shard").cast("int"))
        .sortWithinPartitions("shard", "position")
        .select(*shard_writer.ORIGINAL)
    )


def _packed_masks(spark: "SparkSession", context: Context, plan: pd.DataFrame) -> "DataFrame":
    """``sha256`` of the images of a plan that have one, and their ``mask``."""
    from pyspark.sql import functions as F

    masks = plan[["sha256", *MASK]].dropna().drop_duplicates("sha256")
    if masks.empty:
        return spark.createDataFrame([], "sha256 string, mask binary")
    files = [context.store.uri(file) for file in sorted(masks["mask_file"].unique())]
    packed = parquet.read(spark, context, "sha256 string, content binary", files)
    whose = spark.createDataFrame(masks.drop(columns="mask_file"))
    return packed.toDF("mask_sha256", "mask").join(F.broadcast(whose), "mask_sha256")


def _accept(report: str) -> ShardReport:
    """A shard's report.

    Raises:
        MedloopError: the executor reported that it failed.
    """
    found = TypeAdapter(ShardReport | ShardFailure).validate_json(report)
    if isinstance(found, ShardReport):
        return found
    if found.error == BadImage.__name__:
        raise BadImage(str(found.reason), found.message)
    kind: type[MedloopError] = getattr(errors, found.error)
    raise kind(found.message)


def _require_all(plan: pd.DataFrame, reports: list[ShardReport]) -> None:
    written = {report.name: report.rows for report in reports}
    for name, rows in plan.groupby("name").size().items():
        if written.get(str(name), 0) != rows:
            raise NotFound(
                f"{name} got {written.get(str(name), 0)} of its {rows} images: the packed files of "
                "the snapshot hold others than its index says. Ingest the images again."
            )


def _split_of(report: ShardReport) -> str:
    return report.name.rpartition("-")[0]


def _stats(spec: DatasetSpec, shards: list[ShardReport]) -> dict[str, Any]:
    """Split → ``all`` (every image together) and ``classes`` (each class), described; where images
    are cropped to lesions, ``uncropped`` too: class → images used whole, as none
    was found or it fills them."""
    found: Counts = {split: {} for split in SPLITS}
    for shard in shards:
        of_split = found[_split_of(shard)]
        for label, counts in shard.pixel_counts().items():
            of_split[label] = of_split.get(label, PixelCounts()) + counts
    stats: dict[str, Any] = {
        split: {
            "all": reduce(add, of_split.values(), PixelCounts()).describe(),
            "classes": {
                name: of_split.get(label, PixelCounts()).describe()
                for label, name in enumerate(spec.class_names)
            },
        }
        for split, of_split in found.items()
    }
    if spec.image.crop == "lesion":
        for split, described in stats.items():
            described["uncropped"] = _uncropped(spec, split, shards)
    return stats


def _uncropped(spec: DatasetSpec, split: str, shards: list[ShardReport]) -> dict[str, int]:
    found = sum((Counter(s.uncropped) for s in shards if _split_of(s) == split), Counter())
    logger.info("%s %s: no lesion found in %d images; whole", spec.name, split, found.total())
    return {name: found[label] for label, name in enumerate(spec.class_names)}


def _manifest(spec: DatasetSpec, prepared: Prepared, shards: list[ShardReport]) -> dict[str, Any]:
    return {
        "output": prepared.model_dump(mode="json"),
        "size": spec.image.size,
        "classes": list(spec.class_names),
        "splits": {
            split: {
                "rows": prepared.rows[split],
                "files": [
                    shard.model_dump(mode="json", exclude={"counts", "uncropped"})
                    for shard in shards
                    if _split_of(shard) == split
                ],
            }
            for split in SPLITS
        },
    }
