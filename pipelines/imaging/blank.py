"""Pictures that show nothing."""

import numpy as np
from numpy.typing import NDArray

SHADES = 2.0


def is_blank(array: NDArray[np.uint8]) -> bool:
    """Whether a picture is one shade all over.

    Args:
        array: uint8 (height, width, 3).

    Returns:
        True where the standard deviation of every channel is under 2 of 256 shades: a mark of
        200 shades on a thousandth of the picture is more than that, compression noise is less.
    """
    return bool((array.std(axis=(0, 1)) < SHADES).all())
