"""Deletion and insertion: do the pixels that a heat map names matter to the answer?

Petsiuk, Das and Saenko 2018 (RISE, arXiv 1806.07421): pixels are taken away, or brought into a
blurred picture, the hottest first, and the probability of the class is watched. A faithful map
makes it fall fast, or rise fast: the area under the curve is small for deletion and large for
insertion.
"""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.evidence.heat import Maps, Pictures, Targets

STEPS = 6
BLUR = 0.08
"""Standard deviation of the blur, as a share of the picture's side."""

Ask = Callable[[NDArray[np.float32]], NDArray[np.floating]]
"""Images, float32 (n, size, size, 3), to probabilities (n, classes)."""


class Curves(NamedTuple):
    """Probability of the class, (n, steps + 1), from nothing changed to everything."""

    deletion: NDArray[np.floating]
    insertion: NDArray[np.floating]


def curves(
    ask: Ask, pictures: Pictures, heats: Maps, *, targets: Targets, steps: int = STEPS
) -> Curves:
    """Take pixels away, and bring them in, the hottest first.

    Args:
        ask: the model.
        pictures: (n, size, size, 3).
        heats: (n, size, size); pixels of equal heat go in reading order.
        targets: whose probability is watched.
        steps: how many; each changes the same share of the pixels.
    """
    deletion, insertion = [], []
    for picture, heat, target in zip(pictures, heats, targets, strict=True):
        sharp = picture.astype(np.float32)
        blurred = cv2.GaussianBlur(sharp, (0, 0), BLUR * len(sharp))
        taken = [_hottest(heat, step / steps)[..., None] for step in range(steps + 1)]
        without = np.stack([np.where(mask, blurred, sharp) for mask in taken])
        within = np.stack([np.where(mask, sharp, blurred) for mask in taken])
        said = ask(np.concatenate([without, within]))[:, target]
        deletion.append(said[: steps + 1])
        insertion.append(said[steps + 1 :])
    return Curves(np.stack(deletion), np.stack(insertion))


def area(curve: NDArray[np.floating]) -> float:
    """Mean area under curves (n, steps + 1) over shares of pixels from 0 to 1."""
    return float(areas(curve).mean())


def areas(curve: NDArray[np.floating]) -> NDArray[np.float64]:
    """(n,) area under each of curves (n, steps + 1)."""
    return np.asarray(np.trapezoid(curve, dx=1 / (curve.shape[1] - 1), axis=1), np.float64)


def faithfulness(heat: Curves, chance: Curves) -> NDArray[np.float64]:
    """(n,) insertion less deletion, above what pixels in random order come to, image by image.

    Both curves together, each beside its baseline: what blurred pixels alone do to a model
    cancels out. 0 means that the map ranks pixels no better than chance.
    """
    ours, theirs = (areas(one.insertion) - areas(one.deletion) for one in (heat, chance))
    return ours - theirs


def _hottest(heat: NDArray[np.float32], share: float) -> NDArray[np.bool_]:
    """The hottest share of a map's pixels."""
    order = np.argsort(-heat, axis=None, kind="stable")
    mask = np.zeros(heat.size, np.bool_)
    mask[order[: round(share * heat.size)]] = True
    return mask.reshape(heat.shape)
