"""What abstaining buys: how often a model is wrong on the images it is surest of.

The surest answers are those of the largest certainty (`operating_point.weigh`), by which the
service abstains; without thresholds it is the largest probability.

El-Yaniv and Wiener, "On the Foundations of Noise-free Selective Classification", JMLR 2010.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.decisions import Decisions
from pipelines.evaluation.targets import Labels


def risk_coverage(
    labels: Labels, answers: Decisions
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Risk by coverage, answering the surest images first.

    Args:
        labels: (n,) index of the true class.
        answers: to the n images.

    Returns:
        (n,) share of the images answered, 1/n to 1; (n,) share of these that are wrong.
    """
    surest_first = np.argsort(-answers.certainty, kind="stable")
    wrong = ~answers.right(labels)[surest_first]
    answered = np.arange(1, len(labels) + 1)
    return answered / len(labels), np.cumsum(wrong) / answered


def accuracy_at(labels: Labels, answers: Decisions, coverage: float) -> float:
    """Accuracy on the share ``coverage`` of the images that the model is surest of."""
    covered, risk = risk_coverage(labels, answers)
    return float(1 - risk[np.searchsorted(covered, coverage - 1e-9)])


def area(labels: Labels, answers: Decisions) -> float:
    """The area under the curve of risk by coverage (AURC; Geifman and El-Yaniv 2017); 0 is best."""
    _, risk = risk_coverage(labels, answers)
    return float(risk.mean())


def certainty_for(labels: Labels, answers: Decisions, accuracy: float) -> float | None:
    """The least certainty from which on the answered images are as accurate as asked for.

    Args:
        labels: (n,) index of the true class, of images the model did not learn from and is not
            judged by.
        answers: to the n images.
        accuracy: of the answered images.

    Returns:
        A certainty between two of the images; ``None`` where no certainty is enough.
    """
    _, risk = risk_coverage(labels, answers)
    certainty = -np.sort(-answers.certainty)
    separate = np.append(np.diff(certainty) < 0, True)  # a certainty answers all or none of it
    reached = np.flatnonzero(separate & (1 - risk >= accuracy - 1e-12))
    if not len(reached):
        return None
    last = reached[-1]
    following = certainty[last + 1] if last + 1 < len(certainty) else 0.0
    return float((certainty[last] + following) / 2)


def resampled_accuracy(
    labels: Labels,
    answers: Decisions,
    coverages: Sequence[float],
    *,
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Accuracy on the surest images, under many weightings of them.

    Args:
        labels: (n,) index of the true class.
        answers: to the n images.
        coverages: shares of the images that are answered, above 0.
        weights: (resamples, n).

    Returns:
        (resamples, coverages).
    """
    surest_first = np.argsort(-answers.certainty, kind="stable")
    ordered = weights[:, surest_first]
    right = answers.right(labels)[surest_first]
    answered = np.cumsum(ordered, axis=1)
    hits = np.cumsum(ordered * right, axis=1)
    rows = np.arange(len(weights))
    found = []
    for coverage in coverages:
        last = (answered >= coverage * answered[:, -1:] - 1e-9).argmax(axis=1)
        found.append(hits[rows, last] / answered[rows, last])
    return np.stack(found, axis=1)
