from functools import reduce
from operator import add

import numpy as np
import pytest

from pipelines.data.prepare.pixel_stats import PixelCounts

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 8, 6, 3), dtype=np.uint8) // [1, 2, 3]


def counted(images: np.ndarray) -> PixelCounts:
    counts = PixelCounts()
    for image in images.astype(np.uint8):
        counts.add(image)
    return counts


def test_mean_and_deviation_are_those_of_all_pixels_per_channel() -> None:
    said = counted(IMAGES).describe()
    assert said["rows"] == 5
    assert said["mean"] == pytest.approx(IMAGES.mean(axis=(0, 1, 2)), abs=1e-3)
    assert said["std"] == pytest.approx(IMAGES.std(axis=(0, 1, 2)), abs=1e-3)


def test_a_histogram_tells_the_share_of_pixels_in_each_bin_of_eight_levels() -> None:
    expected = np.histogram(IMAGES[..., 2], bins=np.arange(0, 257, 8))[0] / IMAGES[..., 2].size
    assert counted(IMAGES).describe()["histogram"][2] == pytest.approx(expected, abs=1e-5)


def test_parts_add_up_to_the_whole_in_any_order() -> None:
    parts = [counted(IMAGES[i : i + 1]) for i in (3, 0, 4, 1, 2)]
    assert reduce(add, parts).describe() == counted(IMAGES).describe()


def test_no_images_have_no_mean() -> None:
    assert PixelCounts().describe() == {"rows": 0, "mean": None, "std": None, "histogram": None}
