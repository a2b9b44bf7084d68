"""Pairs of images from two splits that a pretrained network takes for nearly the same.

The split has kept copies together already (`pipelines.data.duplicates.duplicates`). What a network
finds alike beyond that is worth a look: the next slice of the same scan, or the same series of a
patient whom nothing names.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from pipelines.features.extract import Described

HELD_OUT_ROWS = 3_000
TRAINING_ROWS = 30_000
"""Images that are compared at most, drawn by chance."""


@dataclass(frozen=True)
class Pair:
    """A held-out image and the training image that is most like it."""

    similarity: float
    """Cosine of their deep features, from which the mean training image's were taken: 1 at most."""
    held_out: int
    training: int
    """Their rows in `Described`."""


def closest(described: Described, *, pairs: int, seed: int) -> list[Pair]:
    """The held-out images that training images are most like, the most alike first.

    Args:
        described: deep features of all splits.
        pairs: how many to give at most; no training image stands in two of them.
        seed: of what is drawn where there are too many images to compare all.
    """
    splits = described.images["split"].to_numpy()
    drawn = np.random.default_rng(seed)
    training = _some(np.flatnonzero(splits == "train"), TRAINING_ROWS, drawn)
    held_out = _some(np.flatnonzero(splits != "train"), HELD_OUT_ROWS, drawn)
    if not len(training) or not len(held_out):
        return []
    centre = described.values[training].mean(axis=0)
    directions = normalize(described.values[training] - centre)
    nearest = NearestNeighbors(n_neighbors=1).fit(directions)
    distance, place = nearest.kneighbors(normalize(described.values[held_out] - centre))
    similarity = 1 - distance[:, 0] ** 2 / 2
    order = np.argsort(-similarity, kind="stable")
    every = (
        Pair(float(similarity[i]), int(held_out[i]), int(training[place[i, 0]])) for i in order
    )
    return list(_distinct(every))[:pairs]


def _some(rows: NDArray[np.intp], most: int, drawn: np.random.Generator) -> NDArray[np.intp]:
    return rows if len(rows) <= most else np.sort(drawn.choice(rows, most, replace=False))


def _distinct(pairs: Iterator[Pair]) -> Iterator[Pair]:
    seen: set[int] = set()
    for pair in pairs:
        if pair.training not in seen:
            seen.add(pair.training)
            yield pair
