"""Which pictures come from one source: a hospital, a scanner, somebody's collection.

Nobody wrote it down, but the traces of how a picture was made (`pipelines.imaging.traces`: size,
colour, compression, border, noise, sharpness, brightness) are much alike within a source. They
are brought to one scale, reduced to their main directions and divided by a mixture of Gaussians;
how many there are, the Bayesian information criterion says (Schwarz 1978; Fraley and Raftery
2002, "Model-based clustering"). Labels are never looked at. A source found in this way is a
guess: a scanner whose pictures look like another's is not told apart, and one that was set
differently from day to day may be taken for two.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

MOST_SOURCES = 12
PER_SOURCE = 50
"""Images to a source, on average, below which no further one is looked for."""
STEADY = 0.005
"""Standard deviation below which a trace is the same everywhere, and says nothing."""
FAR = 4.0
"""Standard deviations beyond which further out is no further away."""
KEPT_VARIANCE = 0.9
FLOOR = 0.2
"""Least variance of a source in each direction, all pictures having 1: so that a trace of few
values (stored in colour or not) does not make every combination a source of its own."""
STARTS = 3
MOST_FITTED = 20_000
"""Images on which the mixture is fitted; the others are told apart by it."""

Traces = NDArray[np.float64]


def source_clusters(traces: Sequence[Sequence[float] | None], *, seed: int) -> NDArray[np.int32]:
    """The source of each picture.

    Args:
        traces: what `pipelines.imaging.traces` found in each; ``None`` where it was not asked. A
            picture with a value that is not finite is unknown, so that it spoils no other's.
        seed: of the mixture's starting points.

    Returns:
        (n,) 1 for the source of the most pictures, 2 for the next and so on; 0 where unknown.
    """
    found = np.zeros(len(traces), np.int32)
    known = np.array([trace is not None and bool(np.isfinite(trace).all()) for trace in traces])
    if known.any():
        values = np.array([traces[row] for row in np.flatnonzero(known).tolist()], np.float64)
        found[known] = _by_size(_divide(values, seed=seed))
    return found


def _divide(traces: Traces, *, seed: int) -> NDArray[np.intp]:
    """(n,) number of each row's cluster, in any order."""
    from threadpoolctl import threadpool_limits

    telling = traces[:, traces.std(axis=0) > STEADY]
    most = min(MOST_SOURCES, len(traces) // PER_SOURCE)
    if most < 2 or not telling.size:
        return np.zeros(len(traces), np.intp)
    places = _places(telling)
    sample = np.random.default_rng(seed).permutation(len(places))[:MOST_FITTED]
    # One thread: the same sums on any machine, and no waiting for each other on a busy one.
    with threadpool_limits(1):
        mixtures = [_mixture(places[sample], count, seed=seed) for count in range(1, most + 1)]
    best = min(mixtures, key=lambda mixture: mixture.bic(places[sample]))
    clusters: NDArray[np.intp] = best.predict(places)
    return clusters


def _places(traces: Traces) -> Traces:
    """Traces on one scale, along their main directions."""
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    scaled = StandardScaler().fit_transform(traces).clip(-FAR, FAR)
    reduced: Traces = PCA(KEPT_VARIANCE, svd_solver="full").fit_transform(scaled)
    return reduced


def _mixture(places: Traces, count: int, *, seed: int) -> "GaussianMixture":
    from sklearn.mixture import GaussianMixture

    mixture = GaussianMixture(count, reg_covar=FLOOR, n_init=STARTS, random_state=seed)
    return mixture.fit(places)


def _by_size(clusters: NDArray[np.intp]) -> NDArray[np.int32]:
    """Clusters numbered from 1, the largest first; of equal ones, the one met first."""
    _, first, member, sizes = np.unique(
        clusters, return_index=True, return_inverse=True, return_counts=True
    )
    number = np.empty(len(sizes), np.int32)
    number[np.lexsort((first, -sizes))] = np.arange(1, len(sizes) + 1)
    return number[member]
