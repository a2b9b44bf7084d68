"""Calibrated probabilities mean what they say."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.evaluation.calibration import (
    COLDEST,
    HOTTEST,
    calibration_figures,
    fit_temperature,
    reliability,
    softmax,
)


def drawn(
    temperature: float, images: int = 20_000
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits, and labels drawn so that this temperature is the right one."""
    random = np.random.default_rng(0)
    logits = random.normal(scale=4, size=(images, 3))
    chances = softmax(logits, temperature).cumsum(axis=1)
    labels = (random.uniform(size=(images, 1)) > chances).sum(axis=1).clip(max=2)
    return logits, labels


@pytest.mark.parametrize("temperature", [0.7, 1.0, 1.5, 3.0])
def test_the_temperature_that_labels_were_drawn_with_is_found(temperature: float) -> None:
    logits, labels = drawn(temperature)

    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.05)


def test_it_lessens_what_is_wrong_with_an_overconfident_model() -> None:
    logits, labels = drawn(temperature=3.0)
    before = calibration_figures(softmax(logits, 1), labels)

    after = calibration_figures(softmax(logits, fit_temperature(logits, labels)), labels)

    assert after.ece < 0.02 < 0.2 < before.ece
    assert after.nll < before.nll
    assert after.brier < before.brier


def test_no_temperature_changes_which_class_is_likeliest() -> None:
    logits, _ = drawn(1.0, images=100)

    for temperature in (COLDEST, 0.7, 5.0, HOTTEST):
        answers = softmax(logits, temperature)
        assert (answers.argmax(axis=1) == logits.argmax(axis=1)).all()
        assert answers.sum(axis=1) == pytest.approx(1)


def test_extreme_logits_give_numbers() -> None:
    assert softmax(np.array([1e4, -1e4, 0.0]), 0.5).tolist() == [1, 0, 0]


@pytest.mark.parametrize(("label", "bound"), [(0, COLDEST), (1, HOTTEST)])
def test_a_model_that_is_always_right_or_wrong_stays_within_bounds(
    label: int, bound: float
) -> None:
    logits, labels = np.tile([2.0, 0.0], (10, 1)), np.full(10, label)

    assert fit_temperature(logits, labels) == pytest.approx(bound, rel=1e-3)


def test_figures_are_those_worked_out_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.35, 0.65], [0.35, 0.65]])

    figures = calibration_figures(probabilities, np.array([0, 1, 1, 1]))

    # in the bin of 0.9 half are right, in that of 0.65 all
    assert figures.ece == pytest.approx((2 * 0.4 + 2 * 0.35) / 4)
    assert figures.nll == pytest.approx(-math.log(0.9 * 0.1 * 0.65 * 0.65) / 4)
    assert figures.brier == pytest.approx((2 * 0.01 + 2 * 0.81 + 4 * 0.35**2) / 4)


def test_a_certain_mistake_costs_much_but_is_a_number() -> None:
    assert 80 < calibration_figures(np.array([[1.0, 0.0]]), np.array([1])).nll < 100


def test_images_stand_in_the_bin_of_their_confidence() -> None:
    probabilities = np.array([[1.0, 0.0], [0.55, 0.45], [0.52, 0.48]])

    sure, *_ = reversed(bins := reliability(probabilities, np.array([0, 1, 0]), bins=10))

    assert [b.images for b in bins] == [2, 1]
    assert (sure.confidence, sure.accuracy) == (1.0, 1.0)
    assert bins[0].confidence == pytest.approx(0.535)
    assert bins[0].accuracy == 0.5


def test_bins_of_as_many_images_see_what_bins_of_equal_width_average_away() -> None:
    """All confidences in one bin of equal width: too sure of half, not sure enough of half."""
    sure = np.repeat([0.94, 0.99], [140, 160])
    wrong_once_in_twenty = (np.arange(300) >= 140) & (np.arange(300) % 20 == 0)

    figures = calibration_figures(
        np.stack([sure, 1 - sure], axis=1), wrong_once_in_twenty.astype(int)
    )

    assert figures.ece == pytest.approx((160 * 0.04 - 140 * 0.06) / -300)
    assert figures.ece_adaptive == pytest.approx((160 * 0.04 + 140 * 0.06) / 300)


def test_a_class_that_is_given_too_much_shows_though_it_is_never_decided_for() -> None:
    labels = np.zeros(100, int)
    probabilities = np.tile([0.6, 0.4, 0.0], (100, 1))

    figures = calibration_figures(probabilities, labels)

    assert figures.ece == pytest.approx(0.4)
    assert figures.ece_classwise == pytest.approx((0.4 + 0.4 + 0) / 3)
    truth = np.repeat([0, 1], [60, 40])
    assert calibration_figures(probabilities, truth).ece_classwise == pytest.approx(0)
