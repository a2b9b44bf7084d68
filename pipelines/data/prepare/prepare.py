"""Prepares images with Spark, and lists those of a training set.

An image is prepared once per image spec, pixel code and versions of the decoding libraries. A
delivery prepares only its own images. A training set is a list of prepared images; its name and
order depend only on images and seed, so they do not depend on deliveries.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
from pydantic import TypeAdapter

from pipelines import errors
from pipelines.data.parquet_files import parquet_of
from pipelines.data.prepare import executor, listings
from pipelines.data.prepare.executor import PartFailure, PartReport, PrepareJob
from pipelines.data.prepare.keys import (
    KEYS,
    KEYS_FILE,
    SetManifest,
    identity_of,
    listed_images,
    training_rows,
)
from pipelines.data.prepare.listings import IDENTITY, listed
from pipelines.data.prepare.merging import merge
from pipelines.data.prepare.segmenters import Segmenters, fetch_segmenter
from pipelines.decoding import decoding_versions, pixel_version
from pipelines.errors import BadImage, MedloopError, NotFound
from pipelines.outputs import SPLITS, Prepared, PreparedImages, Snapshot, Split
from pipelines.spark import parquet
from pipelines.spark.sent import sent
from pipelines.spark.session import spark_session, told
from pipelines.spec import DatasetSpec
from pipelines.stage import MANIFEST, Context, code_version, existing_output, fingerprint, used

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

logger = logging.getLogger(__name__)

PART_BYTES = 256 << 20
"""Most bytes of pixels in a part, before compression."""
LEAST_ROWS = 64
"""Least number of images in a part that is small so that every core has one."""


def run(
    spec: DatasetSpec,
    context: Context,
    snapshot: Snapshot,
    split: Split,
    segmenters: Segmenters | None = None,
) -> Prepared:
    """Prepare the missing images of a split, and list all of them.

    If the call is killed, finished parts stay.

    Args:
        spec: of the data set.
        context: settings and store.
        snapshot: the originals.
        split: the split of them.
        segmenters: networks that find the lesions, if the spec crops to lesions.

    Raises:
        BadImage: an accepted original cannot be decoded or has changed; names its path.
        NotFound: the snapshot lacks images of the split, or a segmenter does not exist.
        StackError: Java is missing, or Spark does not start.
        StoreUnavailable: the store does not answer.
    """
    assert (segmenters is not None) == (spec.image.crop == "lesion"), spec.image.crop
    images = listed_images(context, snapshot, split)
    rows = training_rows(images, spec.class_names, segmenters, seed=spec.split.seed)
    kept = prepared_images(spec, context)
    missing = _missing(context, rows, kept)
    if not missing.empty:
        _prepare(spec, context, missing, kept, segmenters=segmenters)
    return list_images(spec, context, rows, kept, made_from=(snapshot, split, segmenters))


def prepared_images(spec: DatasetSpec, context: Context) -> PreparedImages:
    """The folder of images prepared with this code and image spec; created if missing."""
    finder = spec.image.crop == "lesion"
    identity = context.identity(spec.image, _code(finder=finder))
    path = f"{spec.name}/prepared/{identity}"
    if (existing := existing_output(context, path, PreparedImages)) is not None:
        used(context, path)  # prune keeps it while this run adds to it
        return existing
    kept = PreparedImages(
        dataset=spec.name,
        id=identity,
        path=path,
        size=spec.image.size,
        versions=decoding_versions(finder=finder),
    )
    manifest = json.dumps({"output": kept.model_dump(mode="json")}, indent=2)
    context.store.create(
        f"{path}/{MANIFEST}", manifest.encode()
    )  # false if another writer was first
    return kept


def _code(*, finder: bool = False) -> str:
    """Version of the code that decides pixel values."""
    return fingerprint(code_version(executor, listings), pixel_version(finder=finder))


def list_images(
    spec: DatasetSpec,
    context: Context,
    rows: pd.DataFrame,
    kept: PreparedImages,
    *,
    made_from: tuple[Snapshot, Split, Segmenters | None],
) -> Prepared:
    """Write a training set; return the existing one if there is one.

    Args:
        spec: of the data set.
        context: settings and store.
        rows: from `training_rows`; all are prepared.
        kept: the folder of prepared images.
        made_from: snapshot, split and segmenters.

    Raises:
        NotFound: an image is not prepared.
        StoreUnavailable: the store does not answer.
    """
    snapshot, split, segmenters = made_from
    final = segmenters.final.path if segmenters else None
    identity = identity_of(rows, kept.id, spec.class_names, final)
    prepared = Prepared(
        dataset=spec.name,
        id=identity,
        snapshot=snapshot.path,
        split=split.path,
        path=f"{spec.name}/training_sets/{identity}",
        images=kept.path,
        rows={name: int((rows["split"] == name).sum()) for name in SPLITS},
        segmenter=final,
    )
    if existing_output(context, prepared.path, Prepared) is not None:
        logger.info("The training set %s exists", context.store.uri(prepared.path))
        _note_origin(context, prepared)
        return prepared
    found = rows.merge(listed(context.store, kept.path), on=IDENTITY, how="left")
    if found["part"].isna().any():
        absent = found.loc[found["part"].isna(), "source_path"]
        raise NotFound(
            f"{len(absent)} images were not prepared, such as {absent.iloc[0]}: the packs of "
            f"{snapshot.path} have other images than its index. Ingest the images again."
        )
    table = pa.Table.from_pandas(rows[KEYS.names], schema=KEYS, preserve_index=False)
    with context.store.commit(prepared.path) as staging:
        context.store.write(f"{staging}/{KEYS_FILE}", parquet_of(table))
        context.store.write_json(f"{staging}/stats.json", _stats(spec, found))
        manifest = SetManifest(
            output=prepared,
            size=kept.size,
            classes=spec.class_names,
            made_from=((snapshot.path, split.path),),
        )
        context.store.write_json(f"{staging}/{MANIFEST}", manifest.model_dump(mode="json"))
    return prepared


def _note_origin(context: Context, prepared: Prepared) -> None:
    """Record that another snapshot or split has the images of an existing training set."""
    path = f"{prepared.path}/{MANIFEST}"
    manifest = SetManifest.model_validate(context.store.read_json(path))
    origin = (prepared.snapshot, prepared.split)
    if origin not in manifest.made_from:
        made_from = (*manifest.made_from, origin)
        noted = manifest.model_copy(update={"output": prepared, "made_from": made_from})
        context.store.overwrite(path, noted.model_dump_json(indent=2).encode())


def _missing(context: Context, rows: pd.DataFrame, kept: PreparedImages) -> pd.DataFrame:
    """The images that are not prepared yet, each once, sorted by `IDENTITY`."""
    known = listed(context.store, kept.path)[IDENTITY]
    found = rows.drop_duplicates(IDENTITY).merge(known, on=IDENTITY, how="left", indicator=True)
    missing = found[found["_merge"] == "left_only"].drop(columns="_merge")
    logger.info("%s of %s images are prepared", f"{len(found) - len(missing):,}", f"{len(found):,}")
    return missing.sort_values(IDENTITY, ignore_index=True)


def _prepare(
    spec: DatasetSpec,
    context: Context,
    missing: pd.DataFrame,
    kept: PreparedImages,
    *,
    segmenters: Segmenters | None,
) -> None:
    with (
        spark_session(context.settings, name=f"prepare {spec.name}") as spark,
        _sent(spark, context, segmenters) as networks,
    ):
        job = PrepareJob(context.settings, kept.path, spec.image, networks)
        parts = part_count(
            len(missing), spec.image.size, cores=spark.sparkContext.defaultParallelism
        )
        logger.info("Preparing %d images of %s in %d parts", len(missing), spec.name, parts)
        numbers = [place * parts // len(missing) for place in range(len(missing))]
        originals = _originals(spark, context, missing.assign(number=numbers), parts=parts)
        written = originals.mapInArrow(partial(executor.write_parts, job=job), "report string")
        with told(spark, what=f"Preparing {spec.name}", tasks=parts):
            for row in written.collect():
                _require_written(row["report"])
        merge(spark, context, kept, most=PART_BYTES // (spec.image.size**2 * 3))


def part_count(images: int, size: int, *, cores: int) -> int:
    """Number of parts: none larger than `PART_BYTES`, and one per core if each then has at least
    `LEAST_ROWS` images."""
    by_size = -(-images * size**2 * 3 // PART_BYTES)
    return max(by_size, min(cores, -(-images // LEAST_ROWS)))


@contextmanager
def _sent(
    spark: "SparkSession", context: Context, segmenters: Segmenters | None
) -> Iterator[tuple[tuple[str, str], ...]]:
    """For each of `Segmenters.every`, its name among the files of executors, and its sha256."""
    with ExitStack() as sending:
        yield tuple(
            (sending.enter_context(sent(spark, fetch_segmenter(context, one.path))), one.sha256)
            for one in (segmenters.every if segmenters else ())
        )


def _originals(
    spark: "SparkSession", context: Context, missing: pd.DataFrame, *, parts: int
) -> "DataFrame":
    """The originals of images, as `executor.ORIGINAL`: one partition per part, sorted.

    Spark shuffles the compressed originals, which are smaller than pixels.
    """
    from pyspark.sql import functions as F

    files = [context.store.uri(pack) for pack in sorted(missing["pack"].unique())]
    packed = parquet.read(spark, context, "sha256 string, content binary", files)
    columns = ["number", "sha256", "source_path", "mask"]
    packs = spark.createDataFrame(missing[columns].assign(finder=missing["network"]))
    return (
        packed.join(F.broadcast(packs), "sha256")
        .join(_masks(spark, context, missing), "mask", "left")
        .repartitionById(parts, F.col("number").cast("int"))
        .sortWithinPartitions("number", "sha256", "finder", "mask")
        .select(*executor.ORIGINAL)
    )


def _masks(spark: "SparkSession", context: Context, missing: pd.DataFrame) -> "DataFrame":
    """The masks of images: ``mask`` (sha256) and ``mask_content``."""
    from pyspark.sql import functions as F

    masks = missing.loc[missing["mask"] != "", ["mask", "mask_pack"]].drop_duplicates("mask")
    if masks.empty:
        return spark.createDataFrame([], "mask string, mask_content binary")
    files = [context.store.uri(file) for file in sorted(masks["mask_pack"].unique())]
    packed = parquet.read(spark, context, "sha256 string, content binary", files)
    wanted = spark.createDataFrame(masks[["mask"]])
    return packed.toDF("mask", "mask_content").join(F.broadcast(wanted), "mask")


def _require_written(report: str) -> None:
    """Raise the MedloopError that an executor reported."""
    found = TypeAdapter(PartReport | PartFailure).validate_json(report)
    if isinstance(found, PartReport):
        return
    if found.error == BadImage.__name__:
        raise BadImage(str(found.reason), found.message)
    kind: type[MedloopError] = getattr(errors, found.error)
    raise kind(found.message)


def _stats(spec: DatasetSpec, rows: pd.DataFrame) -> dict[str, Any]:
    """Split → statistics of ``all`` images and of ``classes``. With crops to lesions also
    ``uncropped``: class → number of images used whole, because no lesion was found or it fills
    the image."""
    describe = partial(listings.describe, size=spec.image.size)
    stats: dict[str, Any] = {}
    for split in SPLITS:
        of_split = rows[rows["split"] == split]
        classes = [of_split[of_split["label"] == label] for label in range(len(spec.class_names))]
        by_name = dict(zip(spec.class_names, classes, strict=True))
        stats[split] = {
            "all": describe(of_split),
            "classes": {name: describe(members) for name, members in by_name.items()},
        }
        if spec.image.crop == "lesion":
            whole = {name: int(members["is_whole"].sum()) for name, members in by_name.items()}
            stats[split]["uncropped"] = whole
            count = sum(whole.values())
            logger.info(
                "%s %s: %d images are not cropped: no lesion found", spec.name, split, count
            )
    return stats
