"""Pixel statistics of many images from one exact thing: how often each level occurs.

Counts add up to the same sums in any order, so means and deviations do not depend on how the
work was divided.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LEVELS = 256
BINS = 32


@dataclass
class PixelCounts:
    """Level counts of a set of RGB images.

    Args:
        rows: number of images.
        counts: (3, 256) int64; how many pixels have each level in each channel.
    """

    rows: int = 0
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros((3, LEVELS), np.int64))

    def add(self, pixels: NDArray[np.uint8]) -> None:
        """Count one image, uint8 (height, width, 3)."""
        self.rows += 1
        self.counts += np.reshape(Image.fromarray(pixels).histogram(), (3, LEVELS))

    def __add__(self, other: "PixelCounts") -> "PixelCounts":
        return PixelCounts(self.rows + other.rows, self.counts + other.counts)

    def describe(self) -> dict[str, Any]:
        """``rows`` and, per channel (R, G, B), ``mean``, ``std`` and ``histogram``.

        Means and population deviations are levels, 0 to 255 (null without images); histograms
        are shares of the pixels in 32 bins of 8 levels.
        """
        total = self.counts.sum(axis=1, keepdims=True)
        if not self.rows:
            return {"rows": 0, "mean": None, "std": None, "histogram": None}
        share = self.counts / total
        level = np.arange(LEVELS)
        mean = share @ level
        variance = share @ level**2 - mean**2
        binned = share.reshape(3, BINS, LEVELS // BINS).sum(axis=2)
        return {
            "rows": self.rows,
            "mean": mean.round(4).tolist(),
            "std": np.sqrt(np.maximum(variance, 0)).round(4).tolist(),
            "histogram": binned.round(6).tolist(),
        }
