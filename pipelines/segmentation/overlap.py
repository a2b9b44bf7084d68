"""How well a found lesion covers the true one."""

import numpy as np
from numpy.typing import NDArray

from pipelines.imaging.box import Box, whole
from pipelines.imaging.lesion import around

Masks = NDArray[np.bool_]
"""(n, size, size), true on the lesion."""
Values = NDArray[np.float64]
"""(n,)"""


def dice(found: Masks, true: Masks) -> Values:
    """Twice the shared area over the sum of both (Dice 1945); 1 where both are empty."""
    total = found.sum(axis=(1, 2)) + true.sum(axis=(1, 2))
    shared = (found & true).sum(axis=(1, 2))
    return np.where(total > 0, 2 * shared / np.maximum(total, 1), 1.0)


def iou(found: Masks, true: Masks) -> Values:
    """The shared area over that of both together (Jaccard 1912); 1 where both are empty."""
    either = (found | true).sum(axis=(1, 2))
    shared = (found & true).sum(axis=(1, 2))
    return np.where(either > 0, shared / np.maximum(either, 1), 1.0)


def box_holds(found: Masks, true: Masks, *, margin: float) -> Values:
    """The share of the true lesion inside the box around the found one: what a crop would keep.

    Args:
        found: nothing found keeps the whole picture.
        true: none of them empty.
        margin: by which the box is wider on each side, as a share of the picture's side.
    """
    return np.array(
        [box_of(f, margin=margin).of(t).sum() / t.sum() for f, t in zip(found, true, strict=True)]
    )


def box_areas(found: Masks, *, margin: float) -> Values:
    """The share of the picture inside the box around each found lesion."""
    boxes = (box_of(mask, margin=margin) for mask in found)
    return np.array([box.height * box.width / found[0].size for box in boxes])


def box_of(found: NDArray[np.bool_], *, margin: float) -> Box:
    """What a crop keeps of a square picture; all of it where nothing was found."""
    return around(found, *found.shape, margin=margin) or whole(found)
