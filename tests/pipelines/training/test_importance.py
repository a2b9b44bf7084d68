import numpy as np
import pytest
from matplotlib.figure import Figure

from pipelines.training.importance import REPEATS, Importance, draw, importance
from pipelines.training.linear import Linear

DRAWN = np.random.default_rng(9)
VALUES = DRAWN.normal(size=(400, 3)) * [1, 100, 1]
LABELS = (VALUES[:, 1] > 0).astype(np.int64)
FITTED = Linear(kernel=np.array([[0.0, 0.0], [-0.05, 0.05], [-0.1, 0.1]]), bias=np.zeros(2))
"""Ignores the first feature, leans on the second; the third is noise that it hardly listens to."""


@pytest.fixture(scope="module")
def found() -> Importance:
    return importance(
        FITTED, names=("a", "b", "c"), train=VALUES, values=VALUES, labels=LABELS, seed=1
    )


def test_shuffling_costs_what_the_answers_rest_on(found: Importance) -> None:
    ignored, leaned_on, noise = found.losses.mean(axis=0)
    assert found.losses.shape == (REPEATS, 3)
    assert ignored == 0
    assert leaned_on == pytest.approx(0.5, abs=0.1)
    assert abs(noise) < 0.05


def test_coefficients_are_told_at_one_standard_deviation(found: Importance) -> None:
    assert found.coefficients[0].tolist() == [0, 0]
    assert found.coefficients[1, 1] == pytest.approx(0.05 * VALUES[:, 1].std())
    assert found.coefficients.sum(axis=1) == pytest.approx(0)


def test_the_picture_names_every_feature_and_class(found: Importance) -> None:
    figure = draw(found, ("no", "yes"), title="t")
    assert isinstance(figure, Figure)
    left = figure.axes[0]
    assert [text.get_text() for text in left.get_yticklabels()] == ["a", "b", "c"]
    assert [text.get_text() for text in left.get_xticklabels()] == ["no", "yes"]


def test_the_pictures_it_was_measured_on_stay_as_they_were() -> None:
    before = VALUES.copy()
    importance(FITTED, names=("a", "b", "c"), train=VALUES, values=VALUES, labels=LABELS, seed=1)
    np.testing.assert_array_equal(before, VALUES)
