"""`pipelines.data.duplicates.banded` in Spark executors, for very many images.

Thumbnails stay in executors; the driver receives pairs only. Rows are grouped by table and slice of
the bands, so a group has whole buckets and is large enough for one call.
"""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.data.duplicates.banded import Bands, bands_for, describe, report, rows_of
from pipelines.data.duplicates.buckets import Buckets, Load, Rows
from pipelines.data.duplicates.descriptors import POSES, correlations, stacked
from pipelines.data.duplicates.duplicates import best
from pipelines.data.revisions import state_frame
from pipelines.outputs import Snapshot
from pipelines.spark.session import spark_session
from pipelines.spec import DuplicatesSpec
from pipelines.stage import Context

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

ROWS = 1 << 18
"""Average number of rows in a group."""
HASHES = [f"hash{pose}" for pose in range(len(POSES))]
SIGNED = (
    "four int, slice int, bucket bigint, salt bigint, pose int, sha256 string, new boolean, "
    + ", ".join(f"{name} bigint" for name in HASHES)
)
CANDIDATES = "first string, second string, pose int, distance int, overfull bigint, capped bigint"
VERIFIED = "first string, second string, pose int, distance int, correlation float"


def is_running() -> bool:
    """Whether this process has a Spark session."""
    if "pyspark" not in sys.modules:
        return False
    from pyspark.sql import SparkSession

    return SparkSession.getActiveSession() is not None


def near_pairs(
    context: Context,
    snapshot: Snapshot,
    sha256: "pd.Series[str]",
    rule: DuplicatesSpec,
    *,
    new: NDArray[np.bool_],
) -> pd.DataFrame:
    """`duplicates.near_pairs` of a snapshot in the store.

    Args:
        context: settings and store.
        snapshot: the snapshot.
        sha256: its images, sorted.
        rule: thresholds.
        new: bool, in the order of ``sha256``.

    Raises:
        StackError: Spark does not start.
        Unavailable: the cluster does not answer.
    """
    from pyspark.sql import functions as F

    bands = bands_for(len(sha256))
    with spark_session(context.settings, name=f"near duplicates {snapshot.dataset}") as spark:
        images = state_frame(spark, context, snapshot, ["sha256", "thumbnail"])
        fresh = pd.DataFrame({"sha256": sha256[new]})
        marked = spark.createDataFrame(fresh).withColumn("new", F.lit(True))
        images = images.join(marked, "sha256", "left").fillna({"new": False})
        candidate_rows = candidates(images, rule, bands, images=len(sha256)).cache()
        load = candidate_rows.agg(F.sum("overfull"), F.sum("capped")).first()
        pairs = verified(candidate_rows, images, rule).toPandas()
        candidate_rows.unpersist()
    report(Load(*(int(value or 0) for value in load or ())), len(sha256))
    position = pd.Series(np.arange(len(sha256)), index=sha256)
    positions = {end: position[pairs[end]].to_numpy(np.intp) for end in ("first", "second")}
    named = pairs["pose"].map(dict(enumerate(POSES)))
    types = {"distance": np.uint8, "correlation": np.float32}
    ordered = pairs.assign(**positions, pose=named).astype(types).sort_values(["first", "second"])
    return best(ordered[["first", "second", "distance", "correlation", "pose"]])


def candidates(
    frame: "DataFrame", rule: DuplicatesSpec, bands: Bands, *, images: int
) -> "DataFrame":
    """Pairs that agree in a band and have similar hashes.

    Args:
        frame: ``sha256``, ``thumbnail``, ``new``.
        rule: thresholds.
        bands: bits and tables.
        images: rows of ``frame``.

    Returns:
        ``first`` < ``second`` (sha256), number of the ``pose``, ``distance``; pairs may repeat.
        Rows without a pair have the numbers of ``overfull`` buckets and ``capped`` rows.
    """
    slices = max(1, images * len(POSES) // ROWS)
    distance = rule.hash_distance

    def sign(parts: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for part in parts:
            if len(part):
                yield from _signed(part, bands, slices)

    def compare(group: pd.DataFrame) -> pd.DataFrame:
        return _candidates_of(group, distance)

    signed = frame.mapInPandas(sign, SIGNED)
    return signed.groupBy("four", "slice").applyInPandas(compare, CANDIDATES)


def _signed(part: pd.DataFrame, bands: Bands, slices: int) -> Iterator[pd.DataFrame]:
    described = describe(stacked(part["thumbnail"]), bands)
    hashes = described.hashes.view(np.int64)
    for four in range(bands.table_groups):
        rows = rows_of(described, part["new"].to_numpy(bool), four)
        named = {name: hashes[rows.image, pose] for pose, name in enumerate(HASHES)}
        yield pd.DataFrame(
            {
                "four": np.int32(four),
                "slice": (rows.bucket % slices).astype(np.int32),
                "bucket": rows.bucket,
                "salt": rows.salt.astype(np.int64),
                "pose": rows.pose.astype(np.int32),
                "sha256": part["sha256"].to_numpy()[rows.image],
                "new": rows.new,
                **named,
            }
        )


def _candidates_of(group: pd.DataFrame, distance: int) -> pd.DataFrame:
    names, first_row, image = np.unique(
        group["sha256"].to_numpy(str), return_index=True, return_inverse=True
    )
    hashes = group[HASHES].to_numpy(np.int64)[first_row].view(np.uint64)
    buckets = Buckets(
        Rows(
            bucket=group["bucket"].to_numpy(np.int64),
            salt=group["salt"].to_numpy().astype(np.uint32),
            pose=group["pose"].to_numpy().astype(np.uint8),
            image=image,
            new=group["new"].to_numpy(bool),
        )
    )
    count = {"overfull": [buckets.load.overfull], "capped": [buckets.load.capped]}
    found = [pd.DataFrame(count)]
    for first, second, pose in buckets.matches(hashes, distance):
        bits = np.bitwise_count(hashes[first, 0] ^ hashes[second, pose])
        pair = {"first": names[first], "second": names[second], "pose": pose, "distance": bits}
        found.append(pd.DataFrame(pair).drop_duplicates())
    return pd.concat(found).reindex(
        columns=[column.split()[0] for column in CANDIDATES.split(", ")]
    )


def verified(candidate_rows: "DataFrame", images: "DataFrame", rule: DuplicatesSpec) -> "DataFrame":
    """Candidates whose thumbnails correlate: ``first``, ``second``, ``pose``, ``distance``,
    ``correlation``; each pair once per pose."""
    threshold = rule.correlation

    def verify(parts: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for part in parts:
            count = len(part)
            both = stacked([*part["one"], *part["other"]])
            first, second = np.arange(count), np.arange(count, 2 * count)
            pose = part["pose"].to_numpy().astype(np.uint8)
            alike = part.assign(correlation=correlations(both, first, second, pose))
            alike = alike[alike["correlation"] >= threshold]
            yield alike.drop(columns=["one", "other"])

    pairs = (
        candidate_rows.dropna(subset=["first"])
        .select("first", "second", "pose", "distance")
        .distinct()
    )
    one = images.selectExpr("sha256 as first", "thumbnail as one")
    other = images.selectExpr("sha256 as second", "thumbnail as other")
    both = pairs.join(one, "first").join(other, "second")
    ordered = both.select("first", "second", "pose", "distance", "one", "other")
    return ordered.mapInPandas(verify, VERIFIED)
