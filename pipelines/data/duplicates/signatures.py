"""Signatures of images: alike images agree in a band of bits, most others do not.

A bit is the sign of a random projection of the thumbnail, normalised for local contrast. Two images
of correlation c agree in it with probability 1 - arccos(c) / pi (Charikar 2002, "Similarity
Estimation Techniques from Rounding Algorithms"). The bits make tables of one band each; images
that agree in a whole band of any table are candidates.

Tables come in fours: the same projections in each of the four poses. So the signature of an image
in another pose is its own, with the tables of each four exchanged, and whether two images meet
does not depend on which of them is turned.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.data.duplicates.descriptors import POSES, SIDE

SEED = 13


@dataclass(frozen=True)
class Bands:
    """How long bands are, and how many tables there are."""

    bits: int
    """Of a band, at most 32."""
    fours: int
    """Tables divided by four."""


PLANS: Final = ((1_000_000, Bands(16, 6)), (10_000_000, Bands(20, 10)))
LARGEST: Final = Bands(24, 16)


def bands_for(images: int) -> Bands:
    """Bands that find 98 % of pairs of correlation 0.94 and leave under 400 random candidates an
    image, by computation (docs/decisions/near-duplicates.md)."""
    return next((bands for most, bands in PLANS if images <= most), LARGEST)


def signatures(pictures: NDArray[np.float32], bands: Bands) -> NDArray[np.uint32]:
    """The bands of images: uint32 (n, fours, 4), the last axis in the order of `POSES`.

    Args:
        pictures: float32 (n, 32, 32), see `descriptors.normalised`.
        bands: how many.
    """
    projected = pictures.reshape(len(pictures), -1) @ _projections(bands)
    bits = (projected > 0).reshape(len(pictures), bands.fours, len(POSES), bands.bits)
    value = np.uint32(1) << np.arange(bands.bits, dtype=np.uint32)
    found: NDArray[np.uint32] = (bits * value).sum(axis=-1, dtype=np.uint32)
    return found


@lru_cache(maxsize=2)
def _projections(bands: Bands) -> NDArray[np.float32]:
    """(1024, tables x bits)."""
    shape = (bands.fours, bands.bits, SIDE, SIDE)
    drawn = np.random.default_rng(SEED).standard_normal(shape, dtype=np.float32)
    posed = [drawn[:, :, ::rows, ::columns] for rows, columns in POSES.values()]
    return np.stack(posed, axis=1).reshape(-1, SIDE * SIDE).T.copy()
