"""What a picture shows where no body is: small descriptions of its frame and its background."""

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.imaging.body import body_mask

FRAME = 0.05
"""Width of the outer frame, as a share of the picture's side."""
PIECES = 8
"""Stretches that each side of the frame is described in."""
LEVELS = (0, 1, 2, 4, 8, 16, 32, 64, 256)
"""Bounds of the histogram of the background's shades."""
MARGIN = 0.04
"""Share of the side that the background keeps away from the body, whose edge is blurred."""
LEAST = 0.02
"""Share of a picture that must be background for it to tell anything."""

Picture = NDArray[np.uint8]
Description = NDArray[np.float64]


def describe_frame(picture: Picture) -> Description:
    """(66,) mean and deviation of each stretch of the outer frame, its tint, and its black.

    Args:
        picture: uint8 (size, size, 3).
    """
    width = max(1, round(FRAME * len(picture)))
    grey = picture.mean(axis=2)
    sides = (grey[:width], grey[-width:], grey[:, :width].T, grey[:, -width:].T)
    pieces = [piece for side in sides for piece in np.array_split(side, PIECES, axis=1)]
    outer = np.concatenate([side.ravel() for side in sides])
    levels = [value for piece in pieces for value in (piece.mean(), piece.std())]
    return np.array([*levels, (outer == 0).mean(), np.ptp(picture[:width], axis=2).mean()])


def describe_background(picture: Picture) -> Description | None:
    """(12,) shades and noise outside the body; ``None`` where there is hardly any outside.

    Where the background lies is not told, as that would be the outline of the body.

    Args:
        picture: uint8 (size, size, 3).
    """
    outside = _outside(picture)
    if outside.mean() < LEAST:
        return None
    grey = picture.mean(axis=2)
    shades = grey[outside]
    beside = outside[:, 1:] & outside[:, :-1]
    jumps = np.abs(np.diff(grey, axis=1))[beside]
    tint = np.ptp(picture, axis=2)[outside].mean()
    histogram = np.histogram(shades, LEVELS)[0] / len(shades)
    noise = jumps.mean() if jumps.size else 0.0
    return np.array([*histogram, shades.mean(), shades.std(), noise, tint])


def without_background(picture: Picture) -> Picture:
    """The picture with what is outside the body black."""
    return np.where(body_mask(picture)[..., None], picture, np.uint8(0))


def without_body(picture: Picture) -> Picture | None:
    """The picture with the body in the middle shade of the background; ``None`` as above."""
    outside = _outside(picture)
    if outside.mean() < LEAST:
        return None
    shade = np.median(picture[outside], axis=0).astype(np.uint8)
    return np.where(outside[..., None], picture, shade)


def _outside(picture: Picture) -> NDArray[np.bool_]:
    """bool (size, size): where no body is, nor its edge."""
    reach = 2 * max(1, round(MARGIN * len(picture))) + 1
    body = cv2.dilate(body_mask(picture).astype(np.uint8), np.ones((reach, reach), np.uint8))
    return np.asarray(body == 0)
