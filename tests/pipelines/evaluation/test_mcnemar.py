"""McNemar's test, against published values, SciPy and simulated models."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from pipelines.evaluation.mcnemar import clustered, discordant
from tests.pipelines.evaluation.answers import apart

Right = NDArray[np.bool_]


def pairs_of(both: int, ours: int, theirs: int, neither: int) -> tuple[Right, Right]:
    """The answers behind a fourfold table."""
    one = np.repeat([True, True, False, False], [both, ours, theirs, neither])
    other = np.repeat([True, False, True, False], [both, ours, theirs, neither])
    return one, other


def test_discordant_pairs_are_counted() -> None:
    assert discordant(*pairs_of(59, 6, 16, 80)) == (6, 16)


def test_models_that_never_part_do_not_differ() -> None:
    same = np.array([True, False, True])
    assert clustered(same, same, groups=apart(3)) == (0, 0, 0, 1)


def test_images_on_their_own_give_mcnemars_statistic() -> None:
    ours, theirs = pairs_of(100, 30, 15, 855)
    statistic = (30 - 15) ** 2 / (30 + 15) * 999 / 1000

    found = clustered(ours, theirs, groups=apart(1000))

    assert found.value == pytest.approx(0.015)
    assert found.p == pytest.approx(2 * norm.sf(np.sqrt(statistic)))
    # Wald's variance of a difference of paired shares
    apart_by = np.sqrt((45 - 15**2 / 1000) / 1000 / 999)
    assert found.low == pytest.approx(0.015 - norm.ppf(0.975) * apart_by)
    assert found.high == pytest.approx(0.015 + norm.ppf(0.975) * apart_by)


def test_ten_copies_of_each_image_tell_no_more_than_one() -> None:
    ours, theirs = pairs_of(50, 9, 3, 20)
    once = clustered(ours, theirs, groups=apart(82))

    groups = np.repeat(apart(82), 10).tolist()
    found = clustered(np.repeat(ours, 10), np.repeat(theirs, 10), groups=groups)

    assert found == pytest.approx(once)


def test_one_group_is_not_enough() -> None:
    with pytest.raises(ValueError, match="two groups"):
        clustered(np.ones(4, bool), np.zeros(4, bool), groups=["same"] * 4)


def test_models_of_equal_skill_are_told_apart_in_one_of_twenty_draws() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(80), 5).astype(str).tolist()
    found = []
    for _ in range(800):
        # how hard a patient is decides for all five images
        chance = rng.beta(2, 1, 80).repeat(5)
        ours, theirs = (rng.random(400) < chance for _ in range(2))
        shared = rng.random(80).repeat(5) < 0.4
        ours = np.where(shared, ours.reshape(80, 5)[:, :1].repeat(5, 1).ravel(), ours)
        found.append(clustered(ours, theirs, groups=groups))

    assert np.mean([one.p < 0.05 for one in found]) == pytest.approx(0.05, abs=0.025)
    assert np.mean([one.low <= 0 <= one.high for one in found]) == pytest.approx(0.95, abs=0.025)
