import numpy as np
import pandas as pd
import pytest

from pipelines.data.prepare.listings import SUMS, describe, level_sums

IMAGES = (np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3)) // [1, 2, 3]).astype(np.uint8)


def summed(images: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame([np.concatenate(level_sums(image)) for image in images], columns=SUMS)


def test_mean_and_deviation_are_those_of_all_pixels_per_channel() -> None:
    said = describe(summed(IMAGES), size=8)
    assert said["rows"] == 5
    assert said["mean"] == pytest.approx(IMAGES.mean(axis=(0, 1, 2)), abs=1e-3)
    assert said["std"] == pytest.approx(IMAGES.std(axis=(0, 1, 2)), abs=1e-3)


def test_the_order_of_images_does_not_matter() -> None:
    assert describe(summed(IMAGES[::-1]), size=8) == describe(summed(IMAGES), size=8)


def test_no_images_have_no_mean() -> None:
    assert describe(summed(IMAGES[:0]), size=8) == {"rows": 0, "mean": None, "std": None}
