"""Clusters images by acquisition source: a hospital, a scanner, a collection.

Images of one source have similar acquisition fingerprints (`pipelines.imaging.traces`: size,
colour, compression, border, noise, sharpness, brightness). Fingerprints are standardized, reduced
by a PCA and clustered by a Gaussian mixture. The Bayesian information criterion selects the number
of clusters (Schwarz 1978; Fraley and Raftery 2002, "Model-based clustering"). Labels are not used.
The result is an estimate: two scanners with similar images may be one cluster, and one scanner with
changing settings may be two.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

MOST_SOURCES = 12
PER_SOURCE = 50
"""Least number of images per source, on average."""
CONSTANT = 0.005
"""Standard deviation below which a value of the fingerprint counts as constant."""
CLIP = 4.0
"""Standard deviations at which values are clipped."""
KEPT_VARIANCE = 0.9
FLOOR = 0.2
"""Least variance of a source in each direction (that of all images is 1), so that a value with few
levels, such as colour or grey, does not split every source."""
STARTS = 3
MOST_FITTED = 20_000
"""Most images that the mixture is fitted to."""

Fingerprints = NDArray[np.float64]


def source_clusters(traces: Sequence[Sequence[float] | None], *, seed: int) -> NDArray[np.int32]:
    """The source of each image.

    Args:
        traces: fingerprints from `pipelines.imaging.traces`; ``None`` if unknown. An image with a
            value that is not finite counts as unknown.
        seed: seed of the mixture.

    Returns:
        (n,) sources numbered by size: 1 for the largest, 2 for the next; 0 if unknown.
    """
    found = np.zeros(len(traces), np.int32)
    known = np.array([trace is not None and bool(np.isfinite(trace).all()) for trace in traces])
    if known.any():
        values = np.array([traces[row] for row in np.flatnonzero(known).tolist()], np.float64)
        found[known] = _by_size(_divide(values, seed=seed))
    return found


def _divide(traces: Fingerprints, *, seed: int) -> NDArray[np.intp]:
    """(n,) number of each row's cluster, in any order."""
    from threadpoolctl import threadpool_limits

    varying = traces[:, traces.std(axis=0) > CONSTANT]
    most = min(MOST_SOURCES, len(traces) // PER_SOURCE)
    if most < 2 or not varying.size:
        return np.zeros(len(traces), np.intp)
    points = _project(varying)
    sample = np.random.default_rng(seed).permutation(len(points))[:MOST_FITTED]
    # One thread: the sums are the same on any machine, and threads do not wait for each other.
    with threadpool_limits(1):
        mixtures = [_mixture(points[sample], count, seed=seed) for count in range(1, most + 1)]
    best = min(mixtures, key=lambda mixture: mixture.bic(points[sample]))
    clusters: NDArray[np.intp] = best.predict(points)
    return clusters


def _project(traces: Fingerprints) -> Fingerprints:
    """Standardized fingerprints along their principal components."""
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    scaled = StandardScaler().fit_transform(traces).clip(-CLIP, CLIP)
    reduced: Fingerprints = PCA(KEPT_VARIANCE, svd_solver="full").fit_transform(scaled)
    return reduced


def _mixture(points: Fingerprints, count: int, *, seed: int) -> "GaussianMixture":
    from sklearn.mixture import GaussianMixture

    mixture = GaussianMixture(count, reg_covar=FLOOR, n_init=STARTS, random_state=seed)
    return mixture.fit(points)


def _by_size(clusters: NDArray[np.intp]) -> NDArray[np.int32]:
    """Clusters numbered from 1, the largest first; of equal ones, the first."""
    _, first, member, sizes = np.unique(
        clusters, return_index=True, return_inverse=True, return_counts=True
    )
    number = np.empty(len(sizes), np.int32)
    number[np.lexsort((first, -sizes))] = np.arange(1, len(sizes) + 1)
    return number[member]
