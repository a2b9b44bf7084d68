"""Labels that are probably wrong: confident learning, and neighbours that say otherwise.

Northcutt, Jiang and Chuang, "Confident learning: estimating uncertainty in dataset labels" (2021),
in a few lines: the library of its authors is licensed AGPL.
"""

import numpy as np
from numpy.typing import NDArray

SURE = 0.9
"""Probability that is confident in any case. The paper asks for the mean of the class, which a
model that is all but certain of most images hardly ever reaches on a wrong label."""

Labels = NDArray[np.int64]
Probabilities = NDArray[np.float64]


def suggested(labels: Labels, probabilities: Probabilities) -> Labels:
    """The class that each image confidently belongs to, whatever its label says.

    An image counts towards a class if the model is at least as sure of it as it is, on average,
    of the images that are labelled so, or sure by `SURE`; towards the surest, if there are several.

    Args:
        labels: (n,) index of the class as labelled.
        probabilities: (n, classes) answers of a model that has not learned from these images.

    Returns:
        (n,) index of a class; -1 where the model is confident of none.
    """
    classes = np.arange(probabilities.shape[1])
    least = np.array(
        [
            min(SURE, probabilities[labels == index, index].mean())
            if (labels == index).any()
            else np.inf
            for index in classes
        ]
    )
    confident = np.where(probabilities >= least, probabilities, -1.0)
    return np.where(confident.max(axis=1) >= 0, confident.argmax(axis=1), -1)


def suspected(labels: Labels, probabilities: Probabilities) -> NDArray[np.bool_]:
    """(n,) whether an image confidently belongs to another class: off the confident joint's
    diagonal."""
    found = suggested(labels, probabilities)
    return np.asarray((found >= 0) & (found != labels))


def margin(labels: Labels, probabilities: Probabilities) -> NDArray[np.float64]:
    """(n,) by how much the label's probability exceeds the best other one's; low is suspect."""
    rows = np.arange(len(labels))
    others = probabilities.copy()
    others[rows, labels] = -1.0
    return np.asarray(probabilities[rows, labels] - others.max(axis=1))
