"""Answering less, a model is wrong less often."""

import numpy as np
import pytest

from pipelines.evaluation.selective import accuracy_at, risk_coverage

SURE = np.array([0.6, 0.9, 0.7, 0.8])
PROBABILITIES = np.stack([SURE, 1 - SURE], axis=1)
LABELS = np.array([1, 0, 1, 0])
"""The two it is least sure of are wrong."""


def test_the_surest_images_are_answered_first() -> None:
    covered, risk = risk_coverage(LABELS, PROBABILITIES)

    assert covered.tolist() == [0.25, 0.5, 0.75, 1]
    assert risk == pytest.approx([0, 0, 1 / 3, 1 / 2])


@pytest.mark.parametrize(("coverage", "accuracy"), [(1, 0.5), (0.75, 2 / 3), (0.5, 1), (0.1, 1)])
def test_accuracy_at_a_coverage(coverage: float, accuracy: float) -> None:
    assert accuracy_at(LABELS, PROBABILITIES, coverage) == pytest.approx(accuracy)
