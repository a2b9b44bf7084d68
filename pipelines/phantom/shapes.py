"""Ellipses, smooth edges and smooth noise: what phantoms are made of."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, rfft2
from scipy.ndimage import fourier_gaussian

Field = NDArray[np.float64]
"""A picture of numbers, (side, side)."""


@dataclass(frozen=True)
class Ellipse:
    """Centre, half axes and angle, in half image widths and radians; y points down."""

    x: float
    y: float
    width: float
    height: float
    angle: float = 0.0

    def grown(self, by: float) -> "Ellipse":
        """The ellipse with both half axes longer by ``by``."""
        return replace(self, width=self.width + by, height=self.height + by)

    def scaled(self, by: float) -> "Ellipse":
        """The ellipse with both half axes ``by`` times as long."""
        return replace(self, width=self.width * by, height=self.height * by)

    def distance(self, x: Field, y: Field) -> Field:
        """How far outside each point is (negative inside), exact for circles only."""
        right, down = x - self.x, y - self.y
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        along = (right * cos + down * sin) / self.width
        across = (down * cos - right * sin) / self.height
        outside: Field = (np.hypot(along, across) - 1) * min(self.width, self.height)
        return outside


def coverage(distance: Field, edge: float) -> Field:
    """How much of each point a shape covers, 0 to 1, over an edge about ``edge`` wide."""
    return 1 / (1 + np.exp(np.clip(distance * (4 / edge), -40, 40)))


def paint(picture: Field, value: Field | float, cover: Field) -> Field:
    """Lay ``value`` over ``picture`` where it covers."""
    return picture + (value - picture) * cover


def smooth_noise(rng: np.random.Generator, side: int, *, grain: float) -> Field:
    """Noise with mean 0 and deviation 1 whose blobs are ``grain`` half image widths wide.

    Smoothed by way of its spectrum, which takes equally long for every grain.
    """
    spectrum = fourier_gaussian(rfft2(rng.standard_normal((side, side))), grain * side / 2, n=side)
    noise: Field = irfft2(spectrum, (side, side))
    standard: Field = (noise - noise.mean()) / noise.std()
    return standard
