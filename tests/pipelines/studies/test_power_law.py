"""A law is found again in errors that follow one, and a rise is claimed where there is one."""

import numpy as np
import pytest

from benchmarks.learning_curves import IMAGES, rises, simulated
from pipelines.studies.power_law import LEAST_REPEATS, PowerLaw, fit

RUNS = 250
FALSE_CLAIMS = 0.025
"""One side of a 95 % interval."""


def exact(images: list[int], errors: list[float]) -> PowerLaw:
    """The law of trainings that all come to the same."""
    repeated = np.repeat(np.array(errors)[:, None], LEAST_REPEATS, axis=1)
    return fit(images, repeated, np.repeat(repeated[..., None], 2, axis=2))


def test_a_law_is_found_again() -> None:
    images = [100, 250, 500, 1000]
    law = exact(images, [2.0 * n**-0.4 for n in images])

    for value in (law.exponent.low, law.exponent.value, law.exponent.high):
        assert value == pytest.approx(0.4)
    assert law.error_at(2000).value == pytest.approx(2.0 * 2000**-0.4)
    assert law.error_of(1).value == pytest.approx(2.0 * 250**-0.4)


def test_errors_that_stay_the_same_have_no_exponent() -> None:
    assert exact([10, 20, 40], [0.25] * 3).exponent.value == pytest.approx(0.0)


def test_no_error_at_all_has_a_law_too() -> None:
    law = exact([10, 100], [0.1, 0.0])

    assert np.isfinite(law.exponent.value)
    assert law.error_at(200).value < 1e-3


def test_trainings_that_differ_widen_the_interval_and_more_of_them_narrow_it() -> None:
    drawn = np.random.default_rng(5)
    errors = 0.1 * np.exp(drawn.normal(0, 0.3, (3, 20)))
    certain = np.repeat(errors.mean(axis=1, keepdims=True), 5, axis=1)
    widths = []
    for values in (certain, errors, errors[:, :5]):
        exponent = fit([10, 20, 40], values, np.repeat(values[..., None], 2, axis=2)).exponent
        widths.append(exponent.high - exponent.low)
    assert widths[0] < widths[1] < widths[2]


@pytest.mark.parametrize("spread", [0.0, 0.2, 0.4])
def test_a_flat_curve_is_seldom_said_to_rise(spread: float) -> None:
    claims = [rises(simulated(0.1, 0.0, spread, LEAST_REPEATS, seed=seed)) for seed in range(RUNS)]
    assert np.mean(claims) <= FALSE_CLAIMS


@pytest.mark.parametrize(("exponent", "spread", "found"), [(0.2, 0.1, 0.9), (0.4, 0.4, 0.9)])
def test_a_rising_curve_is_still_found(exponent: float, spread: float, found: float) -> None:
    claims = [
        rises(simulated(0.1, exponent, spread, LEAST_REPEATS, seed=seed)) for seed in range(100)
    ]
    assert np.mean(claims) >= found


def test_one_training_of_each_size_makes_a_false_claim_often() -> None:
    """What the repeats are for: resampled images alone know nothing of training's chance."""
    claims = [rises(simulated(0.1, 0.0, 0.2, 1, seed=seed)) for seed in range(RUNS)]
    assert np.mean(claims) > 4 * FALSE_CLAIMS


def test_too_few_sizes_or_trainings_make_no_law() -> None:
    with pytest.raises(ValueError, match="two sizes"):
        exact([100, 100], [0.1, 0.1])
    few = np.full((4, LEAST_REPEATS - 1), 0.1)
    with pytest.raises(ValueError, match=f"{LEAST_REPEATS} trainings of each size; got"):
        fit(IMAGES, few, few[..., None])
