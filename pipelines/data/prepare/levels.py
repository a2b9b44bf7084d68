"""Grey levels of images, summed up as whole numbers.

The sums do not depend on how the work is divided.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

LEVELS = np.arange(256)
SUMS = [f"{what}_{channel}" for what in ("total", "squares") for channel in "rgb"]
"""Columns of a table of images: the sum of an image's levels and of their squares."""


class LevelSums(NamedTuple):
    """Sums over the pixels of one image, for each of its three channels."""

    total: NDArray[np.int64]
    squares: NDArray[np.int64]


def level_sums(pixels: NDArray[np.uint8]) -> LevelSums:
    """Sum up one image, uint8 (height, width, 3)."""
    counts = np.reshape(Image.fromarray(pixels).histogram(), (3, len(LEVELS)))
    return LevelSums(counts @ LEVELS, counts @ LEVELS**2)


def describe(rows: pd.DataFrame, *, size: int) -> Mapping[str, Any]:
    """``rows`` (number of images) and, for each channel (R, G, B), ``mean`` and ``std``.

    Args:
        rows: one row an image, with `SUMS`.
        size: side of the images in pixels.

    Returns:
        Means and population deviations are grey levels, 0 to 255; null without images.
    """
    if rows.empty:
        return {"rows": 0, "mean": None, "std": None}
    total, squares = rows[SUMS].sum().to_numpy(np.int64).reshape(2, 3) / (len(rows) * size**2)
    deviation = np.sqrt(np.maximum(squares - total**2, 0))
    return {"rows": len(rows), "mean": total.round(4).tolist(), "std": deviation.round(4).tolist()}
