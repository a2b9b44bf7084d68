"""Where the body is in a scan: what is left when the dark border is cut away."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipelines.imaging.histogram import levels, percentile

DARK = 0.1
"""Share of the picture's bright level (its 99 % quantile) up to which a pixel is background."""
LIT = 0.02
"""Share of a row or column that must be brighter, so that specks and letters do not count."""
MARGIN = 0.02
PART = 0.1
"""Share of the largest lit area that another must have to be part of the body; letters have not."""


def body_box(array: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of the body with its margin; ends are exclusive."""
    body = _lit(array)
    height, width = body.shape
    rows = np.flatnonzero(body.mean(axis=1) > LIT)
    columns = np.flatnonzero(body.mean(axis=0) > LIT)
    if not rows.size or not columns.size:
        return 0, height, 0, width
    return (*_span(rows, height), *_span(columns, width))


def body_mask(array: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where the body is, dark insides such as lungs or ventricles included.

    Args:
        array: uint8 (height, width, 3).

    Returns:
        bool (height, width): the convex hull of what stands out from the dark; specks and
        letters are left out. All true if nothing stands out.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(_lit(array).astype(np.uint8))
    if count < 2:
        return np.ones(array.shape[:2], np.bool_)
    areas = stats[1:, cv2.CC_STAT_AREA]
    parts = np.flatnonzero(areas >= PART * areas.max()) + 1
    belongs = np.zeros(count, np.uint8)
    belongs[parts] = 1
    points = cv2.findNonZero(belongs[labels])
    mask = np.zeros(array.shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(points), [1])
    return mask.astype(np.bool_)


def _lit(array: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels brighter than the background, bool (height, width)."""
    red, green, blue = cv2.split(array)
    brightness = np.maximum(np.maximum(red, green), blue)
    (counts,) = levels(Image.fromarray(brightness))
    return np.asarray(brightness > math.floor(DARK * percentile(counts, 99)))


def _span(lit: NDArray[np.intp], length: int) -> tuple[int, int]:
    margin = round(MARGIN * length)
    return max(0, int(lit[0]) - margin), min(length, int(lit[-1]) + 1 + margin)
