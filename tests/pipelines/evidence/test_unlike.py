"""Images that are like no other."""

import numpy as np
import pytest

from pipelines.evidence.unlike import FAR, unlike

FEATURES = np.random.default_rng(5).normal(3, 0.5, (120, 8)).astype(np.float32)
OTHERWISE = np.array([9, 0, 0, 9, 0, 0, 9, 0], np.float32)
GROUPS = np.array([f"g{n}" for n in range(120)])


def test_what_stands_apart_is_found_and_nothing_else() -> None:
    features = FEATURES.copy()
    features[7] = OTHERWISE
    found = unlike(features, GROUPS)
    assert np.flatnonzero(found > FAR).tolist() == [7]


def test_copies_of_an_outlier_are_no_company() -> None:
    features, groups = FEATURES.copy(), GROUPS.copy()
    features[7:14] = OTHERWISE
    groups[7:14] = "copies"
    assert set(np.flatnonzero(unlike(features, groups) > FAR)) == set(range(7, 14))


@pytest.mark.parametrize("images", [1, 2])
def test_few_images_have_no_outlier(images: int) -> None:
    found = unlike(FEATURES[:images], GROUPS[:images])
    assert (found <= FAR).all()
