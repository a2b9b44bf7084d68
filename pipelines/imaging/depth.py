"""Values deeper than 8 bits to the 256 shades a model sees."""

import numpy as np
from numpy.typing import NDArray

LOW, HIGH = 0.005, 0.995


def to_shades(values: NDArray[np.generic], low: float, high: float) -> NDArray[np.uint8]:
    """Map ``low`` and below to 0, ``high`` and above to 255, linearly and rounded between."""
    scaled = (values.astype(np.float64) - low) * 255 / (high - low)
    shades: NDArray[np.uint8] = np.rint(scaled.clip(0, 255)).astype(np.uint8)
    return shades


def own_range(values: NDArray[np.generic]) -> tuple[float, float]:
    """The range that one picture's values are stretched from: its 0.5 and 99.5 % quantiles.

    A grey picture of 10 to 16 bits seldom uses all of them, and its unit is often arbitrary (MRI),
    so a fixed scale would show most pictures nearly black. The quantiles, unlike minimum and
    maximum, do not let one hot pixel darken all the others. They are values of the picture
    (nearest rank, nothing interpolated), so they are the same everywhere. If they are equal
    (a small thing on a large background), minimum and maximum serve.

    Returns:
        Low and high; high is greater than low by at least one.
    """
    ordered = values.ravel()
    last = ordered.size - 1
    ranks = (0, round(LOW * last), round(HIGH * last), last)
    least, low, high, most = np.partition(ordered, ranks)[list(ranks)].astype(np.float64)
    if low == high:
        low, high = least, most
    return float(low), float(max(high, low + 1))


def stretch(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """A picture's values as 8-bit shades, scaled by its `own_range`."""
    return to_shades(values, *own_range(values))
