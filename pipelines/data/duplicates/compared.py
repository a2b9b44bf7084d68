"""Near duplicates of a snapshot, stored so that no two images are compared twice.

``<dataset>/pairs/<id>/`` belongs to a snapshot, a rule and a version of the code:

    pairs.parquet      near duplicates: ``first`` < ``second`` (sha256), ``distance``,
                       ``correlation``, ``pose``
    compared.parquet   the images that were compared: ``sha256``, ``thumbnail`` (CRC-32)

The next snapshot copies them and compares its new images with all. An image with a changed
thumbnail counts as new. A folder contains the pairs of earlier ones, so only the newest is needed.
"""

import logging
import sys
import zlib
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.data.duplicates import (
    banded,
    banded_spark,
    buckets,
    descriptors,
    duplicates,
)
from pipelines.data.parquet_files import read_rows, write_rows
from pipelines.outputs import Snapshot
from pipelines.spec import DuplicatesSpec
from pipelines.stage import MANIFEST, Context, code_version, existing_output

logger = logging.getLogger(__name__)

MODULES: Final = (
    *(banded, banded_spark, buckets, descriptors, duplicates),
    sys.modules[__name__],
)
"""Modules that decide which images are near duplicates."""
SPARK_FROM = 1_000_000
"""Fewest images to start Spark for; a running session compares fewer."""
PAIRS = pa.schema(
    [
        ("first", pa.string()),
        ("second", pa.string()),
        ("distance", pa.uint8()),
        ("correlation", pa.float32()),
        ("pose", pa.string()),
    ]
)
COMPARED = pa.schema([("sha256", pa.string()), ("thumbnail", pa.int64())])


def pairs_of(
    context: Context, snapshot: Snapshot, images: pd.DataFrame, rule: DuplicatesSpec
) -> pd.DataFrame:
    """The near duplicates of a snapshot, as of `duplicates.near_pairs`.

    Args:
        context: settings and store.
        snapshot: the snapshot.
        images: one row per image, sorted by ``sha256``, with its ``thumbnail``.
        rule: thresholds.

    Raises:
        StoreUnavailable: the store does not answer.
        StackError: Spark is needed and does not start.
    """
    path = _path(context, snapshot, rule)
    position = pd.Series(np.arange(len(images)), index=images["sha256"])
    checksums = images["thumbnail"].map(zlib.crc32)
    if context.store.exists(f"{path}/{MANIFEST}"):
        return _pairs(context, path, position)
    earlier = _earlier(context, snapshot, rule)
    new = np.ones(len(images), np.bool_)
    pairs = pd.DataFrame(columns=duplicates.COLUMNS)
    if earlier is not None:
        new = _is_new(context, earlier, images["sha256"], checksums)
        kept = _pairs(context, earlier, position[~new])
        pairs = pd.concat([kept, _found(context, snapshot, images, rule, new)])
        pairs = duplicates.best(pairs)
    else:
        pairs = _found(context, snapshot, images, rule, new)
    logger.info(
        "%s: compared %d new images with all %d; %d pairs of near duplicates in total",
        *(snapshot.dataset, int(new.sum()), len(images), len(pairs)),
    )
    sha256 = images["sha256"]
    named = pairs.assign(**{end: sha256.to_numpy()[pairs[end]] for end in ("first", "second")})
    known = pd.DataFrame({"sha256": sha256, "thumbnail": checksums})
    with context.store.commit(path) as staging:
        for name, table, schema in (("pairs", named, PAIRS), ("compared", known, COMPARED)):
            records = table[schema.names].to_dict("records")
            rows = [{str(column): value for column, value in row.items()} for row in records]
            write_rows(context.store, f"{staging}/{name}.parquet", rows, schema=schema)
        manifest = {"snapshot": snapshot.path, "images": len(images), "new": int(new.sum())}
        context.store.write_json(f"{staging}/{MANIFEST}", manifest | {"pairs": len(pairs)})
    return _pairs(context, path, position)


def _path(context: Context, snapshot: Snapshot, rule: DuplicatesSpec) -> str:
    identity = context.identity(snapshot.id, rule, code_version(*MODULES))
    return f"{snapshot.dataset}/pairs/{identity}"


def _earlier(context: Context, snapshot: Snapshot, rule: DuplicatesSpec) -> str | None:
    """The folder of the newest earlier snapshot that has been compared."""
    before: Snapshot | None = snapshot
    while before is not None and before.parent is not None:
        path = f"{snapshot.dataset}/snapshots/{before.parent}"
        before = existing_output(context, path, Snapshot)
        if before is not None:
            found = _path(context, before, rule)
            if context.store.exists(f"{found}/{MANIFEST}"):
                return found
    return None


def _is_new(
    context: Context, earlier: str, sha256: "pd.Series[str]", checksums: "pd.Series[int]"
) -> NDArray[np.bool_]:
    rows = read_rows(context.store, f"{earlier}/compared.parquet")
    known = pd.Series({row["sha256"]: row["thumbnail"] for row in rows}, dtype=float)
    return np.asarray(sha256.map(known).to_numpy(float) != checksums.to_numpy(float), np.bool_)


def _pairs(context: Context, path: str, position: "pd.Series[int]") -> pd.DataFrame:
    """The pairs of some images in a folder, by position."""
    rows = read_rows(context.store, f"{path}/pairs.parquet")
    pairs = pd.DataFrame(rows, columns=duplicates.COLUMNS)
    pairs = pairs[pairs["first"].isin(position.index) & pairs["second"].isin(position.index)]
    positions = {end: position[pairs[end]].to_numpy(np.intp) for end in ("first", "second")}
    types = {"distance": np.uint8, "correlation": np.float32}
    return duplicates.best(pairs.assign(**positions).astype(types))


def _found(
    context: Context,
    snapshot: Snapshot,
    images: pd.DataFrame,
    rule: DuplicatesSpec,
    new: NDArray[np.bool_],
) -> pd.DataFrame:
    many = len(images) > duplicates.ALL_PAIRS_UP_TO
    if many and new.any() and (len(images) >= SPARK_FROM or banded_spark.is_running()):
        return banded_spark.near_pairs(context, snapshot, images["sha256"], rule, new=new)
    return duplicates.near_pairs(descriptors.stacked(images["thumbnail"]), rule, new=new)
