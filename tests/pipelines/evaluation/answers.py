"""Labels and answers drawn by chance, alone and in pairs, for the tests of statistics."""

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.decisions import Decisions

CLASSES = ("a", "b", "c")

Labels = NDArray[np.int64]
Probabilities = NDArray[np.float64]


def answers(labels: Labels, *, skill: float, rng: np.random.Generator) -> Probabilities:
    """(n, 3) probabilities; the more skill, the more often the true class is the likeliest."""
    logits = rng.normal(size=(len(labels), 3)) + skill * np.eye(3)[labels]
    raised = np.exp(logits)
    return np.asarray(raised / raised.sum(axis=1, keepdims=True), np.float64)


def likeliest(probabilities: Probabilities) -> Decisions:
    """The answers with the likeliest class decided for."""
    return Decisions.by_likeliest(probabilities, CLASSES)


def labels_of(n: int, *, rng: np.random.Generator) -> Labels:
    """(n,) labels of three classes, each there."""
    labels = rng.integers(0, 3, n)
    labels[:3] = [0, 1, 2]
    return labels


def apart(n: int) -> list[str]:
    """Each image a group of its own."""
    return [str(position) for position in range(n)]
