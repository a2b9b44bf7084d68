"""What abstaining buys: how often a model is wrong on the images it is surest of.

El-Yaniv and Wiener, "On the Foundations of Noise-free Selective Classification", JMLR 2010.
"""

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.targets import Labels, Probabilities


def risk_coverage(
    labels: Labels, probabilities: Probabilities
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Risk by coverage, answering the surest images first.

    Args:
        labels: (n,) index of the true class.
        probabilities: (n, classes); the largest decides, and is the confidence.

    Returns:
        (n,) share of the images answered, 1/n to 1; (n,) share of these that are wrong.
    """
    surest_first = np.argsort(-probabilities.max(axis=1), kind="stable")
    wrong = (probabilities.argmax(axis=1) != labels)[surest_first]
    answered = np.arange(1, len(labels) + 1)
    return answered / len(labels), np.cumsum(wrong) / answered


def accuracy_at(labels: Labels, probabilities: Probabilities, coverage: float) -> float:
    """Accuracy on the share ``coverage`` of the images that the model is surest of."""
    covered, risk = risk_coverage(labels, probabilities)
    return float(1 - risk[np.searchsorted(covered, coverage - 1e-9)])
