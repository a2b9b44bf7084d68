"""Answering less, a model is wrong less often."""

import numpy as np
import pytest

from pipelines.evaluation.decisions import Decisions
from pipelines.evaluation.selective import (
    accuracy_at,
    area,
    certainty_for,
    resampled_accuracy,
    risk_coverage,
)
from tests.pipelines.evaluation.answers import answers, labels_of, likeliest

SURE = np.array([0.6, 0.9, 0.7, 0.8])
PAIR = ("a", "b")
ANSWERS = Decisions.by_likeliest(np.stack([SURE, 1 - SURE], axis=1), PAIR)
LABELS = np.array([1, 0, 1, 0])
"""The two it is least sure of are wrong."""


def test_the_surest_images_are_answered_first() -> None:
    covered, risk = risk_coverage(LABELS, ANSWERS)

    assert covered.tolist() == [0.25, 0.5, 0.75, 1]
    assert risk == pytest.approx([0, 0, 1 / 3, 1 / 2])


@pytest.mark.parametrize(("coverage", "accuracy"), [(1, 0.5), (0.75, 2 / 3), (0.5, 1), (0.1, 1)])
def test_accuracy_at_a_coverage(coverage: float, accuracy: float) -> None:
    assert accuracy_at(LABELS, ANSWERS, coverage) == pytest.approx(accuracy)


def test_the_area_is_the_mean_risk_over_all_coverages() -> None:
    assert area(LABELS, ANSWERS) == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4)


@pytest.mark.parametrize(("accuracy", "confidence"), [(1, 0.75), (0.6, 0.65), (0.5, 0.3)])
def test_the_least_confidence_lies_between_the_last_image_answered_and_the_next(
    accuracy: float, confidence: float
) -> None:
    assert certainty_for(LABELS, ANSWERS, accuracy) == pytest.approx(confidence)


def test_where_the_surest_answer_is_wrong_no_confidence_is_enough() -> None:
    assert certainty_for(1 - LABELS, ANSWERS, 0.99) is None


def test_images_of_one_confidence_are_answered_together_or_not_at_all() -> None:
    alike = Decisions.by_likeliest(np.tile([0.6, 0.4], (4, 1)), PAIR)

    assert certainty_for(np.array([0, 0, 0, 1]), alike, 0.99) is None
    assert certainty_for(np.array([0, 0, 0, 1]), alike, 0.75) == pytest.approx(0.3)


def test_accuracy_under_weights_is_that_of_images_drawn_as_often() -> None:
    rng = np.random.default_rng(0)
    labels = labels_of(500, rng=rng)
    given = likeliest(answers(labels, skill=1, rng=rng))
    weights = rng.integers(0, 3, (4, 500))
    coverages = [0.1, 0.5, 0.77, 1.0]

    found = resampled_accuracy(labels, given, coverages, weights=weights.astype(np.float64))

    for row, times in zip(found, weights, strict=True):
        copies = np.repeat(np.arange(500), times)
        expected = [accuracy_at(labels[copies], given.take(copies), share) for share in coverages]
        # copies of an image are answered together, so a few more may be than was asked
        assert row == pytest.approx(expected, abs=0.02)
        assert row[-1] == pytest.approx(expected[-1])
