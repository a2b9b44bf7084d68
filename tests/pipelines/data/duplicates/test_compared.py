"""What one snapshot has compared, the next does not compare again."""

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from pipelines.data.duplicates import banded_spark, compared, duplicates
from pipelines.data.parquet_files import read_rows
from pipelines.outputs import Snapshot
from pipelines.spec import DuplicatesSpec
from pipelines.stage import Context
from tests.pipelines.data.duplicates.test_banded import RULE, collection, keys
from tests.pipelines.data.recorded import record

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def table(count: int, seed: int = 0) -> pd.DataFrame:
    """Images in random order of hash, with copies among them."""
    thumbnails = collection(count - count // 3, count // 3)
    order = np.random.default_rng(seed).permutation(count)
    return pd.DataFrame(
        {
            "sha256": [f"{n:064d}" for n in range(count)],
            "thumbnail": [thumbnails[n].tobytes() for n in order],
        }
    )


def snapshot(context: Context, images: pd.DataFrame, number: int) -> Snapshot:
    """Snapshot number n of a line, in the store."""
    identity = f"{number:04d}-x"
    made = Snapshot(
        dataset="small",
        id=identity,
        path=f"small/snapshots/{identity}",
        images=len(images),
        added=0,
        parent=f"{number - 1:04d}-x" if number > 1 else None,
        quarantine=None,
    )
    rows: list[dict[str, Any]] = [
        {"sha256": sha256, "thumbnail": thumbnail}
        for sha256, thumbnail in zip(images["sha256"], images["thumbnail"], strict=True)
    ]
    return record(context, made, rows)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pairs of images each call of the exact search compares in one pose."""
    calls: list[int] = []
    blocks = duplicates.blocks

    def counting(new: Any) -> Any:
        found = blocks(new)
        calls.append(sum(int((a[:, None] < b[None, :]).sum()) for a, b in found))
        return found

    monkeypatch.setattr(duplicates, "blocks", counting)
    return calls


def test_a_second_delivery_compares_its_own_images_only(
    context: Context, counted: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    images = table(90)
    older = images[images.index % 9 != 4].reset_index(drop=True)
    compared.pairs_of(context, snapshot(context, older, 1), older, RULE)
    found = compared.pairs_of(context, snapshot(context, images, 2), images, RULE)
    assert sum(counted) == 80 * 79 // 2 + (10 * 9 // 2 + 10 * 80)
    assert "compared 10 new images with all 90" in caplog.text
    counted.clear()
    again = compared.pairs_of(context, snapshot(context, images, 2), images, RULE)
    assert counted == []
    whole = duplicates.near_pairs(
        np.stack([np.frombuffer(t, np.uint8).reshape(32, 32) for t in images["thumbnail"]]), RULE
    )
    assert len(whole) > 15
    pd.testing.assert_frame_equal(found, whole)
    pd.testing.assert_frame_equal(again, whole)


def test_what_has_changed_is_compared_again(context: Context, counted: list[int]) -> None:
    images = table(30)
    compared.pairs_of(context, snapshot(context, images, 1), images, RULE)
    second = snapshot(context, images, 2)
    counted.clear()
    compared.pairs_of(context, second, images, DuplicatesSpec(correlation=0.95))
    assert sum(counted) == 30 * 29 // 2, "another rule"
    counted.clear()
    fresh = Context(context.settings, context.store, fresh="run")
    compared.pairs_of(fresh, second, images, RULE)
    assert sum(counted) == 30 * 29 // 2, "a run that makes everything again"
    counted.clear()
    images.loc[3, "thumbnail"] = collection(1, 0, seed=9)[0].tobytes()
    compared.pairs_of(context, second, images, RULE)
    assert sum(counted) == 29, "another thumbnail"


def test_images_and_snapshots_that_are_gone_do_not_matter(
    context: Context, counted: list[int]
) -> None:
    images = table(60)
    compared.pairs_of(context, snapshot(context, images, 1), images, RULE)
    snapshot(context, images, 2)
    third = snapshot(context, images, 3)
    left = images[images.index % 2 == 0].reset_index(drop=True)
    counted.clear()
    found = compared.pairs_of(context, third, left, RULE)
    assert sum(counted) == 0, "snapshot 1 has compared them, 2 was never divided"
    assert found["second"].max() < 30
    pairs = read_rows(context.store, f"{compared._path(context, third, RULE)}/pairs.parquet")
    assert {row["first"] for row in pairs} <= set(left["sha256"])


def test_spark_finds_what_one_process_finds(
    context: Context, monkeypatch: pytest.MonkeyPatch, spark: "SparkSession"
) -> None:
    images = table(240)
    monkeypatch.setattr(duplicates, "ALL_PAIRS_UP_TO", 0)
    monkeypatch.setattr(banded_spark, "ROWS", 600)
    made = snapshot(context, images, 1)
    new = images.index.to_numpy() % 3 > 0
    thumbnails = np.stack([np.frombuffer(t, np.uint8).reshape(32, 32) for t in images["thumbnail"]])
    expected = duplicates.near_pairs(thumbnails, RULE, new=new)
    called: list[int] = []
    search = banded_spark.near_pairs

    def counting(*where: Any, **which: Any) -> pd.DataFrame:
        called.append(1)
        return search(*where, **which)

    monkeypatch.setattr(banded_spark, "near_pairs", counting)
    spark.conf.set("spark.sql.shuffle.partitions", 2)
    try:
        found = compared._found(context, made, images, RULE, new)
    finally:
        spark.conf.unset("spark.sql.shuffle.partitions")
    assert called
    assert len(expected) > 30
    assert keys(found) == keys(expected)
    both = found.merge(expected, on=["first", "second", "pose"])
    assert (both["distance_x"] == both["distance_y"]).all()
    assert np.allclose(both["correlation_x"], both["correlation_y"], atol=1e-5)
    assert not (~new[found["first"]] & ~new[found["second"]]).any()
