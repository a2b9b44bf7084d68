"""What abstaining buys: how often a model is wrong on the images it is surest of.

El-Yaniv and Wiener, "On the Foundations of Noise-free Selective Classification", JMLR 2010.
"""

from collections.abc import Sequence

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


def area(labels: Labels, probabilities: Probabilities) -> float:
    """The area under the curve of risk by coverage (AURC; Geifman and El-Yaniv 2017); 0 is best."""
    _, risk = risk_coverage(labels, probabilities)
    return float(risk.mean())


def confidence_for(labels: Labels, probabilities: Probabilities, accuracy: float) -> float | None:
    """The least confidence from which on the answered images are as accurate as asked for.

    Args:
        labels: (n,) index of the true class, of images the model did not learn from and is not
            judged by.
        probabilities: (n, classes); the largest decides, and is the confidence.
        accuracy: of the answered images.

    Returns:
        A confidence between two of the images; ``None`` where no confidence is enough.
    """
    _, risk = risk_coverage(labels, probabilities)
    confidence = -np.sort(-probabilities.max(axis=1))
    separate = np.append(np.diff(confidence) < 0, True)  # a confidence answers all or none of it
    reached = np.flatnonzero(separate & (1 - risk >= accuracy - 1e-12))
    if not len(reached):
        return None
    last = reached[-1]
    following = confidence[last + 1] if last + 1 < len(confidence) else 0.0
    return float((confidence[last] + following) / 2)


def resampled_accuracy(
    labels: Labels,
    probabilities: Probabilities,
    coverages: Sequence[float],
    *,
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Accuracy on the surest images, under many weightings of them.

    Args:
        labels: (n,) index of the true class.
        probabilities: (n, classes).
        coverages: shares of the images that are answered, above 0.
        weights: (resamples, n).

    Returns:
        (resamples, coverages).
    """
    surest_first = np.argsort(-probabilities.max(axis=1), kind="stable")
    ordered = weights[:, surest_first]
    right = (probabilities.argmax(axis=1) == labels)[surest_first]
    answered = np.cumsum(ordered, axis=1)
    hits = np.cumsum(ordered * right, axis=1)
    rows = np.arange(len(weights))
    found = []
    for coverage in coverages:
        last = (answered >= coverage * answered[:, -1:] - 1e-9).argmax(axis=1)
        found.append(hits[rows, last] / answered[rows, last])
    return np.stack(found, axis=1)
