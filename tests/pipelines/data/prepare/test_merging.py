"""Small parts become one part, and every image, mask and feature is found where it is then."""

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.data.prepare import merging
from pipelines.data.prepare.executor import PrepareJob, write_parts
from pipelines.data.prepare.listings import IDENTITY, features_path, listed, part_path
from pipelines.features.worker import FEATURES
from pipelines.outputs import PreparedImages
from pipelines.spark.parquet import opened
from pipelines.spec import ImageSpec
from pipelines.stage import Context
from tests.pipelines.data.landing_folders import drawing, png

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SIZE = 32
IMAGES = PreparedImages(dataset="pets", id="k", path="pets/prepared/k", size=SIZE, versions={})
HAVE_ALL, LACK_SOME = "pets/features/whole", "pets/features/lacking"


def deliver(context: Context, first: int, number: int) -> None:
    """Add a part, every other image with a mask, and features of it: the mean of each image."""
    rows = []
    for n in range(first, first + number):
        content, mask = png(drawing(n)), png(drawing(100 + n)) if n % 2 else None
        row = {"number": 0, "source_path": f"{n}.png", "finder": 0, "mask": f"m{n}" if mask else ""}
        row |= {"sha256": hashlib.sha256(content).hexdigest(), "content": content}
        rows.append(row | {"mask_content": mask})
    job = PrepareJob(context.settings, IMAGES.path, ImageSpec(size=SIZE))
    before = set(listed(context.store, IMAGES.path)["part"])
    list(write_parts(iter([pa.RecordBatch.from_pylist(rows)]), job=job))
    (part,) = set(listed(context.store, IMAGES.path)["part"]) - before
    with opened(context.store, part_path(IMAGES.path, part)) as file:
        pixels = file.read()
    for folder in (HAVE_ALL, *([LACK_SOME] if first else [])):
        values = [[np.frombuffer(one.as_py(), np.uint8).mean()] for one in pixels["pixels"]]
        columns = [[part] * number, range(number), pixels["sha256"], values]
        local = context.settings.home / "features.parquet"
        local.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns, schema=FEATURES), local)
        context.store.replace_file(local, features_path(folder, part))


def found(context: Context) -> pd.DataFrame:
    """Each image's pixels, mask and features, as its listing says where they are."""
    rows = listed(context.store, IMAGES.path)
    parts = {}
    for part in rows["part"].unique():
        with opened(context.store, part_path(IMAGES.path, part)) as file:
            pixels = file.read()
        with opened(context.store, features_path(HAVE_ALL, part)) as file:
            features = file.read()
        assert features["part"].unique().to_pylist() == [part]
        assert features["row"].to_pylist() == list(range(pixels.num_rows))
        parts[part] = (pixels, pixels["lesion"].drop_null(), features)
    read = []
    for part, row, lesion in zip(rows["part"], rows["row"], rows["lesion"], strict=True):
        pixels, masks, features = parts[part]
        mask = masks[lesion].as_py() if lesion >= 0 else None
        read.append((pixels["pixels"][row].as_py(), mask, features["values"][row].as_py()[0]))
    rows = rows.join(pd.DataFrame(read, columns=["pixels", "mask_pixels", "values"]))
    return rows.sort_values(IDENTITY, ignore_index=True).drop(columns=["part", "row", "lesion"])


def test_merged_parts_hold_what_small_ones_held(
    context: Context, spark: "SparkSession", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "MOST_SMALL", 4)
    for first, number in ((0, 3), (3, 4), (7, 2)):
        deliver(context, first, number)
    assert merging.merge(spark, context, IMAGES, most=100) == 0  # too few
    deliver(context, 9, 20)
    assert merging.merge(spark, context, IMAGES, most=100) == 0  # one is large
    deliver(context, 29, 1)
    before, parts = found(context), context.store.names(f"{IMAGES.path}/parts")
    kept = [f"{folder}/{part}" for folder in (f"{IMAGES.path}/parts", HAVE_ALL) for part in parts]
    for path in kept:
        context.store.set_modified(path, 1.0)

    assert merging.merge(spark, context, IMAGES, most=160) == 5

    pd.testing.assert_frame_equal(found(context), before)
    assert before["mask_pixels"].notna().sum() == 15
    (listing,) = context.store.names(f"{IMAGES.path}/listings")
    assert set(context.store.names(f"{IMAGES.path}/parts")) == {*parts, listing}
    assert len(context.store.names(LACK_SOME)) == 4
    assert min(context.store.modified(path) for path in kept) > 1.0  # prune waits a day from now
    assert merging.merge(spark, context, IMAGES, most=160) == 0


def test_no_part_grows_beyond_the_largest(
    context: Context, spark: "SparkSession", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "MOST_SMALL", 4)
    for first in range(0, 10, 2):
        deliver(context, first, 2)
    before = found(context)
    assert merging.merge(spark, context, IMAGES, most=5) == 0
    monkeypatch.setattr(merging, "SMALL", 2)
    assert merging.merge(spark, context, IMAGES, most=5) == 5  # the last one is alone
    sizes = listed(context.store, IMAGES.path)["part"].value_counts().tolist()
    assert max(sizes) <= 5
    pd.testing.assert_frame_equal(found(context), before)
