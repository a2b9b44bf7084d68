"""Decisions at thresholds, against a published example and counts by hand."""

import numpy as np
import pytest

from pipelines.evaluation.predictive_values import decided_at, predictive_values
from tests.pipelines.evaluation.answers import apart

ILL = np.array([True] * 4 + [False] * 4)
SHARE = np.array([0.9, 0.8, 0.6, 0.2, 0.7, 0.4, 0.3, 0.1])


def test_predictive_values_are_those_of_altman_and_blands_liver_scans() -> None:
    sensitivity, specificity = np.array([231 / 258]), np.array([54 / 86])

    at_hand = predictive_values(sensitivity, specificity, 258 / 344)
    rarer = predictive_values(np.array([0.9]), np.array([0.63]), 0.25)

    assert [float(value[0]) for value in at_hand] == pytest.approx([231 / 263, 54 / 81])
    assert [float(value[0]) for value in rarer] == pytest.approx([0.45, 0.95], abs=5e-3)


def test_figures_of_thresholds_are_those_counted() -> None:
    half, strict = decided_at(ILL, SHARE, [0.5, 0.75], prevalence=0.1, groups=apart(8), seed=0)

    assert (half.called, half.sensitivity.value, half.specificity.value) == (0.5, 0.75, 0.75)
    assert half.ppv[0] == pytest.approx(0.075 / (0.075 + 0.225))
    assert half.npv[0] == pytest.approx(0.675 / (0.675 + 0.025))
    assert (strict.sensitivity.value, strict.specificity.value) == (0.5, 1)
    assert strict.ppv[0] == 1
    for value, interval in (
        half.ppv,
        half.npv,
        (half.sensitivity.value, half.sensitivity.interval),
    ):
        assert interval.low < value < interval.high


def test_where_nothing_is_called_there_is_no_positive_predictive_value() -> None:
    (one,) = decided_at(ILL, SHARE, [0.95], prevalence=0.5, groups=apart(8), seed=0)

    assert np.isnan(one.ppv[0])
    assert np.isnan(one.ppv[1]).all()
    assert one.npv[0] == 0.5


def test_images_of_a_group_count_together() -> None:
    share = np.repeat(SHARE, 20)
    ill = np.repeat(ILL, 20)

    (alone,) = decided_at(ill, share, [0.5], prevalence=0.5, groups=apart(160), seed=0)
    grouped = [str(i // 20) for i in range(160)]
    (together,) = decided_at(ill, share, [0.5], prevalence=0.5, groups=grouped, seed=0)

    assert alone.ppv[0] == together.ppv[0]
    assert np.ptp(together.ppv[1]) > 2 * np.ptp(alone.ppv[1])
