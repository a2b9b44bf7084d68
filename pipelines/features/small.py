"""A picture as a short row of shades: what a classifier sees that has no idea of shape."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 32


def grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A colour image's shades (ITU-R 601 luma), uint8 (height, width)."""
    return np.asarray(Image.fromarray(image).convert("L"))


def describe(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The shades of a picture of `SIDE` by `SIDE` pixels, row by row.

    Args:
        grey: uint8 (height, width).

    Returns:
        float32 (1024,), 0 to 1; each the mean of the pixels it stands for.
    """
    picture = Image.fromarray(grey).resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(picture, np.float32).ravel() / np.float32(255)
