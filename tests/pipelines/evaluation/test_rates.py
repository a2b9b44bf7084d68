"""Shares with intervals by group, many at once."""

import numpy as np
import pytest
from scipy.stats import binomtest

from pipelines.evaluation.rates import rates
from tests.pipelines.evaluation.answers import apart


def test_a_rate_is_the_share_of_hits_among_the_images_asked() -> None:
    hits = np.array([[1, 0], [1, 1], [0, 1], [0, 1]], bool)
    asked = np.array([[1, 1], [1, 0], [1, 1], [0, 1]], bool)

    first, second = rates(hits, asked, groups=["a", "a", "b", "c"], seed=0)

    assert [first.value, second.value] == pytest.approx([2 / 3, 2 / 3])
    assert (first.images, first.groups) == (3, 2)
    assert (second.images, second.groups) == (3, 3)


def test_independent_images_have_about_the_binomial_interval() -> None:
    hits = (np.arange(400) % 5 > 0)[:, None]

    (rate,) = rates(hits, np.ones((400, 1), bool), groups=apart(400), seed=0)

    expected = binomtest(320, 400).proportion_ci(method="wilson")
    assert rate.interval == pytest.approx((expected.low, expected.high), abs=0.01)


def test_images_of_one_group_tell_no_more_than_one() -> None:
    hits = (np.arange(400) // 10 % 5 > 0)[:, None]
    asked = np.ones((400, 1), bool)

    (alone,) = rates(hits, asked, groups=apart(400), seed=0)
    (grouped,) = rates(hits, asked, groups=[str(i // 10) for i in range(400)], seed=0)

    width = alone.interval.high - alone.interval.low
    assert grouped.interval.high - grouped.interval.low > 2.5 * width


@pytest.mark.parametrize("value", [True, False])
def test_where_all_images_are_alike_the_next_may_still_differ(value: bool) -> None:
    (rate,) = rates(
        np.full((30, 1), value),
        np.ones((30, 1), bool),
        groups=[str(i // 3) for i in range(30)],
        seed=0,
    )

    assert rate.value == value
    # of ten groups that are all right, Wilson's lower bound is 0.72
    assert rate.interval == pytest.approx((0.722, 1) if value else (0, 0.278), abs=1e-3)
