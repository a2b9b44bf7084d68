"""Deletion and insertion: a map that knows where the answer comes from beats one that does not."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.evidence.perturbation import area, curves

SIZE = 32
SPOT = (slice(4, 12), slice(18, 26))


def bright_spot(images: NDArray[np.float32]) -> NDArray[np.float64]:
    """A model that sees one place only: the brighter it is, the surer of class 1."""
    shine = images[:, SPOT[0], SPOT[1]].mean(axis=(1, 2, 3)) / 255
    return np.stack([1 - shine, shine], axis=1).astype(np.float64)


@pytest.fixture
def picture() -> NDArray[np.uint8]:
    drawn = np.zeros((1, SIZE, SIZE, 3), np.uint8)
    drawn[0, SPOT[0], SPOT[1]] = 255
    return drawn


def map_of(spot: tuple[slice, slice]) -> NDArray[np.float32]:
    heat = np.zeros((1, SIZE, SIZE), np.float32)
    heat[0][spot] = 1
    return heat


def test_the_true_map_falls_and_rises_faster_than_a_wrong_one(picture: NDArray[np.uint8]) -> None:
    target = np.array([1])
    true = curves(bright_spot, picture, map_of(SPOT), targets=target)
    wrong = curves(bright_spot, picture, map_of((slice(20, 28), slice(2, 10))), targets=target)

    assert area(true.deletion) < area(wrong.deletion) - 0.1
    assert area(true.insertion) > area(wrong.insertion) + 0.1


def test_curves_run_from_the_picture_to_its_blur_and_back(picture: NDArray[np.uint8]) -> None:
    found = curves(bright_spot, picture, map_of(SPOT), targets=np.array([1]), steps=4)

    assert found.deletion.shape == found.insertion.shape == (1, 5)
    assert found.deletion[0, 0] == found.insertion[0, -1] == pytest.approx(1)
    assert found.deletion[0, -1] == pytest.approx(found.insertion[0, 0])
    assert found.insertion[0, 0] < 0.9


def test_an_area_is_that_of_the_mean_curve() -> None:
    assert area(np.array([[1.0, 0.0, 0.0]])) == pytest.approx(0.25)
    assert area(np.array([[1.0, 1.0], [0.0, 0.0]])) == pytest.approx(0.5)
