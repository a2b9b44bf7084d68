from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from pipelines.data.input.cache import fetch
from pipelines.data.prepare.keys import PLACED, placed
from pipelines.features.small import grey
from pipelines.outputs import SPLITS
from pipelines.profile.sums import Key, ShadeSums, changes, merged, packed, sum_up, unpacked
from pipelines.stage import Context
from tests.pipelines.data.small_collection import CLASSES, SIZE, small_spec
from tests.pipelines.tracked import prepare_small

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PICTURES = np.random.default_rng(6).integers(0, 256, (9, 4, 4)).astype(np.uint8)


def summed(pictures: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> ShadeSums:
    sums = ShadeSums(4)
    for picture in pictures:
        sums.add(picture)
    return sums


def test_mean_and_deviation_are_those_of_the_pictures() -> None:
    sums = summed(PICTURES)
    np.testing.assert_allclose(sums.mean, PICTURES.mean(axis=0))
    np.testing.assert_allclose(sums.std, PICTURES.std(axis=0))
    assert sums.histogram.sum() == pytest.approx(1)
    assert sums.levels.tolist() == np.bincount(PICTURES.ravel(), minlength=256).tolist()


def test_parts_add_up_to_the_whole_in_any_order() -> None:
    whole, first, second = summed(PICTURES), summed(PICTURES[:4]), summed(PICTURES[4:])
    second.merge(first)
    np.testing.assert_array_equal(second.total, whole.total)
    np.testing.assert_array_equal(second.squares, whole.squares)
    np.testing.assert_array_equal(second.levels, whole.levels)
    assert second.images == whole.images == 9


def test_what_is_taken_away_was_never_there() -> None:
    key: Key = ("train", 0)
    other: Key = ("test", 1)
    before: dict[Key, ShadeSums] = {key: summed(PICTURES), other: summed(PICTURES[:2])}
    change: dict[Key, ShadeSums] = {key: ShadeSums(4), other: ShadeSums(4)}
    for place in range(4):
        change[key].add(PICTURES[place], -1)
    for place in range(2):
        change[other].add(PICTURES[place], -1)
    left = unpacked(packed(merged(before, change)))
    sums = left[key]
    assert not left[other].levels.any()
    assert left[other].images == 0
    for name in ("images", "total", "squares", "levels"):
        np.testing.assert_array_equal(getattr(sums, name), getattr(summed(PICTURES[4:]), name))


def test_an_image_that_moves_is_taken_away_here_and_added_there() -> None:
    row = dict.fromkeys(PLACED.names, 0) | dict.fromkeys(("sha256", "finder", "mask"), "")
    row |= {"group": "", "source_path": "", "part": "a"}
    was, now = (
        pa.Table.from_pylist([row | one for one in rows], schema=PLACED)
        for rows in (
            [{"row": n, "split": "train", "label": n} for n in (0, 0, 1, 2)],
            [{"row": n, "split": "test" if n == 2 else "train", "label": n} for n in (0, 1, 2, 3)],
        )
    )
    found = {(one["row"], one["split"]): one["times"] for one in changes(was, now).to_pylist()}
    assert found == {(0, "train"): -1, (2, "train"): -1, (2, "test"): 1, (3, "train"): 1}


def test_no_images_have_a_mean_of_zero() -> None:
    assert ShadeSums(4).mean.tolist() == ShadeSums(4).std.tolist() == np.zeros((4, 4)).tolist()


def test_spark_sums_each_class_of_each_split_once(context: Context, spark: "SparkSession") -> None:
    prepared = prepare_small(context, small_spec())
    rows = placed(context.store, prepared)
    every = changes(PLACED.empty_table(), rows)
    found = sum_up(spark, context, prepared.images, every, size=SIZE)
    data = fetch(context, prepared)
    assert set(found) == {(split, label) for split in SPLITS for label in range(len(CLASSES))}
    for split in SPLITS:
        batches = list(data.split(split).batches(64))
        pictures = np.concatenate([batch.images for batch in batches])
        labels = np.concatenate([batch.labels for batch in batches])
        for label in range(len(CLASSES)):
            greys = np.stack([grey(picture) for picture in pictures[labels == label]])
            np.testing.assert_allclose(found[split, label].mean, greys.mean(axis=0))
            assert found[split, label].images == len(greys)
