"""How well a found lesion covers the true one."""

import numpy as np
from numpy.typing import NDArray

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
    return np.array([_held(f, t, margin) for f, t in zip(found, true, strict=True)])


def _held(found: NDArray[np.bool_], true: NDArray[np.bool_], margin: float) -> float:
    top, bottom, left, right = box_of(found, margin=margin)
    return float(true[top:bottom, left:right].sum() / true.sum())


def box_of(found: NDArray[np.bool_], *, margin: float) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of the box around a lesion; ends are exclusive.

    The whole picture where nothing was found.
    """
    height, width = found.shape
    if not found.any():
        return 0, height, 0, width
    rows, columns = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
    return (*_wider(rows, height, margin), *_wider(columns, width, margin))


def _wider(places: NDArray[np.intp], length: int, margin: float) -> tuple[int, int]:
    more = round(margin * length)
    return max(0, int(places[0]) - more), min(length, int(places[-1]) + 1 + more)
