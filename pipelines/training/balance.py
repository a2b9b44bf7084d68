"""What is done about rare classes and sources: weights of images, or how often each is shown."""

import logging

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import TrainingError

logger = logging.getLogger(__name__)

MOST_SHOWN = 10
"""Times an image is shown in an epoch at most: a source of three images teaches those three."""


def require_every_class(labels: NDArray[np.int32], classes: tuple[str, ...]) -> None:
    """Refuse to train a class that has no image.

    Raises:
        TrainingError: naming the class.
    """
    counts = np.bincount(labels, minlength=len(classes))
    for name, count in zip(classes, counts, strict=True):
        if count == 0:
            raise TrainingError(
                f"No training image shows {name!r}; land more images of it, or take the class "
                "out of the spec."
            )


def class_weights(labels: NDArray[np.int32], classes: int) -> NDArray[np.float32]:
    """(classes,) weights that give each class the same share of the loss:
    n / (classes * n_class)."""
    counts = np.bincount(labels, minlength=classes)
    return (len(labels) / (classes * counts)).astype(np.float32)


def times_shown(
    labels: NDArray[np.int32], sources: NDArray[np.int64] | None, *, seed: int, epoch: int
) -> NDArray[np.int64]:
    """How often each image is shown in an epoch, so that classes and sources are seen equally.

    Every class gets the same share of an epoch of ``len(labels)`` images and, within it, every
    source the same. Each image of such a cell is shown equally often, give or take one; which
    are shown once more is drawn from seed and epoch. No image is shown more than `MOST_SHOWN`
    times, so an epoch may be shorter.

    Args:
        labels: (n,) index into the classes.
        sources: (n,) where each image comes from; ``None`` to look at classes only.
        seed: the run's.
        epoch: from 0.
    """
    drawn = np.random.default_rng((seed, epoch, 7))
    origins = np.zeros(len(labels), np.int64) if sources is None else sources
    shown = np.zeros(len(labels), np.int64)
    present = np.unique(labels)
    for label in present:
        of_class = labels == label
        cells = np.unique(origins[of_class])
        quota = len(labels) / (len(present) * len(cells))
        for source in cells:
            rows = drawn.permutation(np.flatnonzero(of_class & (origins == source)))
            each, more = divmod(min(round(quota), MOST_SHOWN * len(rows)), len(rows))
            shown[rows] = each
            shown[rows[:more]] += 1
    return shown
