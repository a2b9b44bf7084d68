"""Net benefit: whether acting on a model's answers is better than acting on all, or on none.

Vickers and Elkin, "Decision curve analysis", Medical Decision Making 26:565 (2006). Whoever acts
from a probability of 10 % on (a biopsy, a further examination) says that one finding that is acted
on is worth nine false alarms. Net benefit counts in such findings, per image.
"""

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.weighted import Weights, ratio

Values = NDArray[np.float64]


def net_benefit(
    ill: NDArray[np.bool_],
    probability: Values,
    thresholds: Values,
    *,
    weights: Weights,
    prevalence: float | None = None,
) -> Values:
    """What acting on the model's answers gains over acting on none.

    Args:
        ill: (n,) whether an image has a finding.
        probability: (n,) calibrated, that it has.
        thresholds: (k,) probabilities from which on one acts, above 0 and below 1.
        weights: (resamples, n) of the images.
        prevalence: share of images with a finding where the model is used; that of the images if
            unset.

    Returns:
        (resamples, k) true positives less false ones, these weighed by the odds of the threshold,
        as a share of all images.
    """
    acted = (probability[:, None] >= thresholds).astype(np.float64)
    positives, total = weights @ ill, weights.sum(axis=1)
    sensitivity = ratio(weights @ (acted * ill[:, None]), positives[:, None])
    alarms = ratio(weights @ (acted * ~ill[:, None]), (total - positives)[:, None])
    share = (positives / total if prevalence is None else np.full(len(total), prevalence))[:, None]
    return np.asarray(sensitivity * share - alarms * (1 - share) * odds(thresholds), np.float64)


def of_acting_on_all(shares: Values, thresholds: Values) -> Values:
    """(resamples, k) what acting on every image gains over acting on none.

    Args:
        shares: (resamples,) share of images with a finding.
        thresholds: (k,)
    """
    return np.asarray(shares[:, None] - (1 - shares[:, None]) * odds(thresholds), np.float64)


def odds(thresholds: Values) -> Values:
    """How many findings a false alarm weighs."""
    return thresholds / (1 - thresholds)
