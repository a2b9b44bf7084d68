"""Pictures that show nothing."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipelines.imaging.histogram import SHADES, levels

DEVIATION = 2


def is_blank(array: NDArray[np.uint8]) -> bool:
    """Whether a picture is one shade all over.

    Args:
        array: uint8 (height, width, 3).

    Returns:
        True where the standard deviation of every channel is under 2 of 256 shades: a mark of
        200 shades on a thousandth of the picture is more than that, compression noise is less.
    """
    shades = np.arange(SHADES)
    return not any(_varies(counts, shades) for counts in levels(Image.fromarray(array)))


def _varies(counts: NDArray[np.int64], shades: NDArray[np.int64]) -> bool:
    """Whether the standard deviation reaches the limit, in whole numbers of any size."""
    total, first, second = (int(counts @ shades**power) for power in range(3))
    return total * second - first**2 >= DEVIATION**2 * total**2
