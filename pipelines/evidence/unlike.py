"""Images that are like no other: another modality, another organ, a broken file."""

import numpy as np
from numpy.typing import NDArray

from pipelines.data.input.training_set import TrainingSet
from pipelines.evaluation.network import Network
from pipelines.evaluation.predictions import images
from pipelines.outputs import SplitName

NEIGHBOURS = 5
LEAST_SPREAD = 0.005
"""Spread of distances, between features of length 1, below which differences are rounding."""
FAR = 5.0
"""Robust standard deviations (1.4826 times the median absolute deviation) beyond the median."""

Features = NDArray[np.float32]


def unlike(features: Features, groups: NDArray[np.str_]) -> NDArray[np.float64]:
    """How far each image stands from those most like it.

    The mean distance to its nearest neighbours of other groups (Ramaswamy et al. 2000, "Efficient
    algorithms for mining outliers from large data sets"), features scaled to length 1, without
    which what is no scan at all has weak features and looks ordinary (docs/decisions/novelty.md).

    Args:
        features: (n, k) what a network makes of each image.
        groups: (n,) patient, lesion or cluster of copies: copies of an outlier are no company.

    Returns:
        (n,) in robust standard deviations from the median; above `FAR` is an outlier.
    """
    from sklearn.metrics import pairwise_distances
    from sklearn.preprocessing import normalize

    places = normalize(features)
    apart = pairwise_distances(places)
    apart[groups[:, None] == groups[None, :]] = np.inf
    company = min(NEIGHBOURS, len(places) - 1)
    nearest = np.sort(apart, axis=1)[:, :company]
    finite = np.isfinite(nearest)
    distance = np.where(finite, nearest, 0.0).sum(axis=1) / np.maximum(finite.sum(axis=1), 1)
    middle = float(np.median(distance))
    spread = 1.4826 * float(np.median(np.abs(distance - middle)))
    return np.asarray((distance - middle) / max(spread, LEAST_SPREAD))


def features_of(network: Network, data: TrainingSet, split: SplitName) -> Features:
    """(n, k) the mean over positions of a network's last feature map, in file order."""
    return np.concatenate(
        [network.features(batch).mean(axis=(1, 2)) for batch in images(data, split)]
    )
