"""Agreement of answers beyond chance, for many weightings at once."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from pipelines.evidence.blanked import kappa


def test_kappa_is_that_of_scikit_learn_for_every_weighting() -> None:
    drawn = np.random.default_rng(3)
    one, other = drawn.integers(0, 3, (2, 80))
    other = np.where(drawn.random(80) < 0.5, one, other)
    weights = drawn.integers(0, 4, (5, 80)).astype(np.float64)
    expected = [cohen_kappa_score(one, other, sample_weight=row) for row in weights]
    assert kappa(one, other, 3, weights=weights) == pytest.approx(expected)


def test_one_answer_to_everything_agrees_by_chance_only() -> None:
    one, always = np.array([0, 1, 0, 1]), np.zeros(4, np.int64)
    once = np.ones((1, 4))
    assert kappa(one, always, 2, weights=once) == pytest.approx(0)
    assert kappa(always, always, 2, weights=once) == pytest.approx(0), "undefined"
    assert kappa(one, one, 2, weights=once) == pytest.approx(1)
