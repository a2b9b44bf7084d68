"""DeLong's test, against the sums of the paper written out, scikit-learn and simulated models."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from pipelines.evaluation.delong import delong, placements
from tests.pipelines.evaluation.answers import apart

Scores = NDArray[np.float64]


def scored(
    n: int, *, rng: np.random.Generator, decimals: int = 6
) -> tuple[NDArray[np.bool_], Scores, Scores]:
    """Who is ill, and two scores that know something of it and of each other."""
    positive = rng.random(n) < 0.4
    common = rng.normal(size=n)
    ours, theirs = (np.round(common + rng.normal(size=n) + positive, decimals) for _ in range(2))
    return positive, ours, theirs


def as_in_the_paper(positive: NDArray[np.bool_], ours: Scores, theirs: Scores) -> float:
    """The variance of the difference by DeLong's equations 4 to 6, pair by pair."""
    tens, ones = [], []
    for scores in (ours, theirs):
        above = scores[positive][:, None] - scores[~positive][None, :]
        kernel = (above > 0) + 0.5 * (above == 0)
        tens.append(kernel.mean(axis=1))
        ones.append(kernel.mean(axis=0))
    covariance = np.cov(tens) / positive.sum() + np.cov(ones) / (~positive).sum()
    contrast = np.array([1, -1])
    return float(contrast @ covariance @ contrast)


@pytest.mark.parametrize("decimals", [6, 0])
def test_difference_and_variance_are_the_papers(decimals: int) -> None:
    positive, ours, theirs = scored(70, rng=np.random.default_rng(0), decimals=decimals)

    found = delong(positive, ours, theirs, groups=apart(70))

    value = roc_auc_score(positive, ours) - roc_auc_score(positive, theirs)
    apart_by = np.sqrt(as_in_the_paper(positive, ours, theirs))
    assert found.value == pytest.approx(value)
    assert found.low == pytest.approx(value - norm.ppf(0.975) * apart_by)
    assert found.high == pytest.approx(value + norm.ppf(0.975) * apart_by)
    assert found.p == pytest.approx(2 * norm.sf(abs(value) / apart_by))


def test_the_shares_of_either_kind_of_image_add_up_to_the_area() -> None:
    positive, ours, _ = scored(50, rng=np.random.default_rng(1), decimals=0)

    area, shares = placements(positive, ours)

    assert area == pytest.approx(roc_auc_score(positive, ours))
    assert shares[~positive].mean() == pytest.approx(area)


def test_ten_copies_of_each_image_tell_no_more_than_one() -> None:
    positive, ours, theirs = scored(80, rng=np.random.default_rng(2))
    once = delong(positive, ours, theirs, groups=apart(80))

    copies = np.repeat(np.arange(80), 10)
    found = delong(
        positive[copies], ours[copies], theirs[copies], groups=[str(image) for image in copies]
    )

    assert found == pytest.approx(once)


def test_scores_that_rank_alike_do_not_differ() -> None:
    positive, ours, _ = scored(30, rng=np.random.default_rng(3))

    assert delong(positive, ours, 3 * ours + 1, groups=apart(30)) == (0, 0, 0, 1)


def test_a_kind_of_image_in_one_group_is_not_enough() -> None:
    positive = np.array([True, True, False, False])
    scores = np.array([0.9, 0.8, 0.1, 0.2])

    with pytest.raises(ValueError, match="positive images are all of one group"):
        delong(positive, scores, scores, groups=["1", "1", "2", "3"])
    with pytest.raises(ValueError, match="negative images are all of one group"):
        delong(positive, scores, scores, groups=["1", "2", "3", "3"])


@pytest.mark.parametrize("images", [1, 5])
def test_models_of_equal_skill_are_told_apart_in_one_of_twenty_draws(images: int) -> None:
    """Also where a patient has ill and healthy images, and is hard or easy as a whole."""
    rng = np.random.default_rng(4)
    groups = np.repeat(np.arange(100), images).astype(str).tolist()
    n, rejected = len(groups), []
    for _ in range(500):
        positive = rng.random(n) < 0.4
        ours, theirs = (
            positive + rng.normal(size=100).repeat(images) + rng.normal(size=n) for _ in range(2)
        )
        rejected.append(delong(positive, ours, theirs, groups=groups).p < 0.05)

    assert np.mean(rejected) == pytest.approx(0.05, abs=0.03)
