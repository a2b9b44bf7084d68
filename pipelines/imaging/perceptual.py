"""A short description of what an image looks like, for finding near duplicates."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 32


def thumbnail(array: NDArray[np.uint8]) -> bytes:
    """The picture as 32 x 32 grey shades (ITU-R 601 luma), row by row: 1,024 bytes.

    Args:
        array: uint8 (height, width, 3).
    """
    grey = Image.fromarray(array).convert("L")
    return np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX)).tobytes()
