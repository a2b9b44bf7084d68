import numpy as np
import pytest
from scipy.stats import kstest

from pipelines.monitoring.mmd import discrepancy, gaussian_kernel
from pipelines.monitoring.permutation import memberships, p_values

IN_WINDOW = np.arange(80) < 30


def p_value(points: np.ndarray, *, seed: int = 0) -> float:
    kernel = gaussian_kernel(points.astype(np.float32))
    singles = [str(row) for row in range(len(points))]
    seen = [
        discrepancy(kernel, members)
        for members in memberships(singles, IN_WINDOW, choices=99, seed=seed)
    ]
    return float(p_values(np.concatenate(seen)[None])[0, 0])


def test_the_discrepancy_is_that_of_its_definition() -> None:
    points = np.random.default_rng(0).normal(size=(80, 5)).astype(np.float32)
    kernel = gaussian_kernel(points)

    (found,) = discrepancy(kernel, IN_WINDOW[:, None].astype(np.float32))

    ours, theirs = np.flatnonzero(IN_WINDOW), np.flatnonzero(~IN_WINDOW)
    within = np.mean([kernel[i, j] for i in ours for j in ours if i != j])
    beyond = np.mean([kernel[i, j] for i in theirs for j in theirs if i != j])
    between = np.mean([kernel[i, j] for i in ours for j in theirs])
    assert found == pytest.approx(within + beyond - 2 * between, abs=1e-6)


def test_the_kernel_is_as_wide_as_the_median_distance() -> None:
    points = np.array([[0.0], [1.0], [3.0]], np.float32)  # squared distances 1, 4, 9

    assert gaussian_kernel(points)[0, 1] == pytest.approx(np.exp(-1 / 4))
    assert gaussian_kernel(points)[1, 1] == 0


def test_points_that_are_all_the_same_have_no_discrepancy() -> None:
    assert p_value(np.ones((80, 4))) == 1


def test_p_values_are_uniform_where_nothing_has_drifted() -> None:
    rng = np.random.default_rng(1)

    found = [p_value(rng.normal(size=(80, 8)), seed=seed) for seed in range(120)]

    jitter = rng.random(120) / 100
    assert kstest(np.array(found) - jitter, "uniform").pvalue > 0.01


@pytest.mark.parametrize(("shift", "spread"), [(0.5, 1.0), (0.0, 1.8)], ids=["moved", "wider"])
def test_a_cloud_that_moved_or_spread_is_found(shift: float, spread: float) -> None:
    rng = np.random.default_rng(2)
    points = rng.normal(size=(80, 8))
    points[IN_WINDOW] = rng.normal(shift, spread, (30, 8))

    assert p_value(points) == 0.01
