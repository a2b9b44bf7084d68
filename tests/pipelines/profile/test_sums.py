from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipelines.data.input.cache import fetch
from pipelines.data.prepare.frame import frame
from pipelines.data.prepare.keys import placed
from pipelines.features.worker import grey
from pipelines.outputs import SPLITS
from pipelines.profile.sums import ShadeSums, sum_up
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


def test_no_images_have_a_mean_of_zero() -> None:
    assert ShadeSums(4).mean.tolist() == ShadeSums(4).std.tolist() == np.zeros((4, 4)).tolist()


def test_spark_sums_each_class_of_each_split_once(context: Context, spark: "SparkSession") -> None:
    prepared = prepare_small(context, small_spec())
    rows = placed(context.store, prepared)
    images = frame(spark, context, prepared, rows).repartition(3)
    found = sum_up(images, size=SIZE)
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
