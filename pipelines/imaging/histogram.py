"""Order statistics of 8-bit shades, from how often each occurs: no sorting of pixels."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SHADES = 256

Counts = NDArray[np.int64]


def levels(image: Image.Image) -> Counts:
    """How often each shade occurs, (channels, 256); exact for images of any size.

    Args:
        image: with 8 bits a channel.
    """
    return np.array(image.histogram(), np.int64).reshape(-1, SHADES)


def percentile(
    counts: Counts, percent: float, *, precision: type[np.floating] = np.float64
) -> float:
    """`numpy.percentile` (linear) of the pixels that ``counts`` describes, to the last digit.

    Args:
        counts: (256,) pixels of each shade; at least one pixel.
        percent: 0 to 100.
        precision: of the interpolation; NumPy uses that of the pixels for floating-point pixels.
    """
    total = int(counts.sum())
    place = (total - 1) * (percent / 100)
    before = math.floor(place)
    share = place - before
    positions = (before, min(before + 1, total - 1))
    low, high = np.searchsorted(counts.cumsum(), positions, side="right").tolist()
    step = precision(high - low)
    if share < 0.5:
        return float(precision(low) + step * precision(share))
    return float(precision(high) - step * precision(1 - share))
