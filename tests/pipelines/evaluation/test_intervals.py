"""The bootstrap: intervals that hold what they should, as wide as groups of images ask for."""

import time

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.evaluation.intervals import bootstrap
from pipelines.evaluation.metrics import measure
from tests.pipelines.evaluation.answers import answers, apart, labels_of, likeliest


def predictions(n: int, *, seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Labels and probabilities that agree more often than not."""
    rng = np.random.default_rng(seed)
    labels = labels_of(n, rng=rng)
    return labels, answers(labels, skill=1.2, rng=rng)


def test_an_interval_holds_its_figure_and_shrinks_with_more_images() -> None:
    few, many = predictions(60), predictions(2000)
    narrow, wide = (
        bootstrap(data[0], likeliest(data[1]), groups=apart(len(data[0])), seed=0)["accuracy"]
        for data in (many, few)
    )

    assert wide.low < measure(few[0], likeliest(few[1]))["accuracy"] < wide.high
    assert narrow.high - narrow.low < 0.3 * (wide.high - wide.low)


def test_ten_copies_of_an_image_tell_no_more_than_one() -> None:
    labels, probabilities = predictions(40)
    copies = np.repeat(np.arange(40), 10)

    one = bootstrap(labels, likeliest(probabilities), groups=apart(40), seed=3)
    ten = bootstrap(
        labels[copies], likeliest(probabilities[copies]), groups=[str(i) for i in copies], seed=3
    )

    assert ten["accuracy"] == pytest.approx(one["accuracy"], abs=0.03)


def test_the_same_seed_gives_the_same_intervals() -> None:
    labels, probabilities = predictions(50)
    groups = [str(i // 2) for i in range(50)]

    first, again, other = (
        bootstrap(labels, likeliest(probabilities), groups=groups, seed=seed) for seed in (7, 7, 8)
    )

    assert first == again
    assert first != other


def test_a_class_that_is_often_missed_by_the_draw_still_has_an_interval() -> None:
    labels, probabilities = predictions(30)
    labels[labels == 2] = 1
    labels[0] = 2

    bounds = bootstrap(labels, likeliest(probabilities), groups=apart(30), seed=0)

    assert 0 <= bounds["sensitivity.c"].low <= bounds["sensitivity.c"].high <= 1


def test_a_thousand_resamples_of_a_real_test_set_take_seconds() -> None:
    labels, probabilities = predictions(2000)
    began = time.process_time()

    bootstrap(labels, likeliest(probabilities), groups=apart(2000), seed=0)

    assert time.process_time() - began < 20


def test_the_interval_of_the_calibration_error_does_not_take_chance_for_error() -> None:
    """Of models that are calibrated, that differ from 0 by what a few images leave to chance."""
    lows, figures = [], []
    for seed in range(25):
        rng = np.random.default_rng(seed)
        confident = rng.dirichlet([0.4, 0.4, 0.4], size=300)
        labels = (rng.random(300)[:, None] > confident.cumsum(axis=1)).sum(axis=1)
        found = bootstrap(labels, likeliest(confident), groups=apart(300), seed=0, resamples=200)
        seen = measure(labels, likeliest(confident))["ece"]
        assert found["ece"].low - 1e-9 <= seen <= found["ece"].high + 1e-9
        lows.append(found["ece"].low)
        figures.append(seen)

    assert np.mean(lows) < 0.3 * np.mean(figures)


def test_the_interval_covers_the_accuracy_as_often_as_it_says_also_for_images_in_groups() -> None:
    """Eight images of a patient are right or wrong together."""
    groups = [str(patient) for patient in range(60) for _ in range(8)]
    everybody = predictions(100_000, seed=99)
    truth = likeliest(everybody[1]).right(everybody[0]).mean()
    covered = []
    for seed in range(100):
        labels, probabilities = predictions(60, seed=seed)
        low, high = bootstrap(
            labels.repeat(8),
            likeliest(probabilities.repeat(8, axis=0)),
            groups=groups,
            seed=0,
            resamples=150,
        )["accuracy"]
        covered.append(low <= truth <= high)

    assert np.mean(covered) > 0.88


def test_where_all_images_of_a_class_are_found_the_next_may_still_be_missed() -> None:
    labels = np.repeat([0, 1, 2], 40)
    probabilities = np.eye(3)[labels] * 0.8 + 0.1
    probabilities[-1] = [0.8, 0.1, 0.1]
    pairs = [str(position // 2) for position in range(120)]

    found = bootstrap(labels, likeliest(probabilities), groups=pairs, seed=0, findings=("a", "b"))

    # of 20 groups that are all right, Wilson's lower bound is 0.839; of 40 it is 0.912
    assert found["sensitivity.a"] == pytest.approx((0.839, 1), abs=1e-3)
    assert found["sensitivity.any_finding"] == pytest.approx((0.912, 1), abs=1e-3)
    assert found["sensitivity.c"].low < 1
    assert found["sensitivity.c"].high == 1
