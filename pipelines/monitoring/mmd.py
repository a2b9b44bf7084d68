"""Maximum mean discrepancy: how far apart two clouds of feature vectors lie.

Gretton, Borgwardt, Rasch, Schölkopf and Smola, "A Kernel Two-Sample Test", JMLR 13 (2012): the
squared distance of the means of two samples in the space of a Gaussian kernel, without bias. The
kernel is as wide as the median distance of two rows. docs/decisions/drift.md says what else was
tried.
"""

import numpy as np
from numpy.typing import NDArray

from pipelines.monitoring.permutation import Floats, Members

LEAST_WIDTH = 1e-12


def gaussian_kernel(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """(rows, rows) similarities of (rows, channels) points: 0 to 1, and 0 of a row to itself."""
    lengths = (points**2).sum(axis=1)
    squared = np.maximum(lengths[:, None] + lengths - 2 * points @ points.T, 0)
    rows = len(points)
    pairs = squared.ravel()[1:].reshape(rows - 1, rows + 1)[:, :-1]  # without the diagonal
    width = max(float(np.median(pairs)), LEAST_WIDTH)
    kernel = np.exp(-squared / width)
    np.fill_diagonal(kernel, 0)
    return np.asarray(kernel, np.float32)


def discrepancy(kernel: NDArray[np.float32], members: Members) -> Floats:
    """Squared discrepancy for each of (rows, choices) memberships; around 0 if there is none.

    Args:
        kernel: see `gaussian_kernel`.
        members: 1 inside, 0 outside.
    """
    inside = members.sum(axis=0, dtype=np.float64)
    outside = len(kernel) - inside
    to_all = kernel.sum(axis=1, dtype=np.float64)
    within = np.einsum("rc,rc->c", kernel @ members, members, dtype=np.float64)
    between = to_all @ members - within
    beyond = to_all.sum() - within - 2 * between
    return np.asarray(
        within / _pairs(inside) + beyond / _pairs(outside) - 2 * between / (inside * outside)
    )


def _pairs(rows: Floats) -> Floats:
    """Ordered pairs of different rows; 1 of a single row, which has none."""
    return np.maximum(rows * (rows - 1), 1)
