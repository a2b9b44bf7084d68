import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp

from pipelines.monitoring.permutation import memberships
from pipelines.monitoring.statistics import (
    jensen_shannon,
    kolmogorov_smirnov,
    share_difference,
)

IN_WINDOW = np.arange(90) % 3 == 0


def choices() -> np.ndarray:
    singles = [str(row) for row in range(90)]
    return np.concatenate(list(memberships(singles, IN_WINDOW, choices=20, seed=3)), axis=1)


@pytest.mark.parametrize("digits", [6, 0], ids=["no ties", "many ties"])
def test_kolmogorov_smirnov_is_scipys(digits: int) -> None:
    values = np.random.default_rng(0).normal(0, 2, 90).round(digits)
    members = choices()

    distances = kolmogorov_smirnov(values, members)

    for column, distance in zip(members.T, distances, strict=True):
        expected = ks_2samp(values[column == 1], values[column == 0]).statistic
        assert distance == pytest.approx(expected, abs=1e-6)


def test_jensen_shannon_is_scipys() -> None:
    kinds = np.random.default_rng(1).integers(0, 4, 90)
    members = choices()

    distances = jensen_shannon(kinds, members)

    for column, distance in zip(members.T, distances, strict=True):
        mixes = [np.bincount(kinds[column == side], minlength=4) for side in (1, 0)]
        assert distance == pytest.approx(jensenshannon(*mixes, base=2), abs=1e-6)


def test_mixes_without_a_common_kind_are_one_apart() -> None:
    assert jensen_shannon(IN_WINDOW.astype(int), IN_WINDOW[:, None].astype(np.float32)) == [1]


def test_a_share_differs_in_either_direction() -> None:
    flags = np.zeros(90, bool)
    flags[IN_WINDOW] = np.arange(30) < 12
    flags[~IN_WINDOW] = np.arange(60) < 6
    inside = IN_WINDOW[:, None].astype(np.float32)

    assert share_difference(flags, inside) == pytest.approx([0.3])
    assert share_difference(~flags, inside) == pytest.approx([0.3])


def test_what_never_varies_has_no_distance() -> None:
    members = choices()

    assert not kolmogorov_smirnov(np.full(90, 224.0), members).any()
    assert not jensen_shannon(np.zeros(90, int), members).any()
    assert not share_difference(np.zeros(90, bool), members).any()
