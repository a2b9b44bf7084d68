"""Candidates for near duplicates among many images, by the bands of their signatures.

The work grows with the number of images and of alike ones, not with the square of all. A pair of
correlation 0.94 or more is missed in about 2 of 100 cases at most
(docs/decisions/near-duplicates.md).
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.data.duplicates.buckets import Buckets, Load, Rows
from pipelines.data.duplicates.descriptors import (
    POSES,
    SIDE,
    Candidates,
    Thumbnails,
    normalised,
    posed_hashes,
)
from pipelines.progress import track

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


logger = logging.getLogger(__name__)

CHUNK = 1 << 14


@dataclass(frozen=True)
class Described:
    """What is compared of images that are not flat."""

    hashes: NDArray[np.uint64]
    """uint64 (n, 4)."""
    bands: NDArray[np.uint32]
    """uint32 (n, fours, 4)."""
    flat: NDArray[np.bool_]
    """bool (n,): images without any detail, which resemble none."""


def describe(thumbnails: Thumbnails, bands: Bands) -> Described:
    """Hashes and signatures of some images, part by part, so that memory is bounded."""
    count = len(thumbnails)
    hashes = np.empty((count, len(POSES)), np.uint64)
    signed = np.empty((count, bands.fours, len(POSES)), np.uint32)
    flat = np.empty(count, np.bool_)
    for start in range(0, count, CHUNK):
        part = slice(start, start + CHUNK)
        pictures = normalised(thumbnails[part])
        hashes[part] = posed_hashes(thumbnails[part])
        signed[part] = signatures(pictures, bands)
        flat[part] = ~pictures.any(axis=(1, 2))
    return Described(hashes, signed, flat)


def candidates(
    thumbnails: Thumbnails, new: NDArray[np.bool_], *, distance: int, bands: Bands
) -> Iterator[Candidates]:
    """Pairs of images that agree in a band, one of them at least new, whose hashes differ in few
    bits: see `duplicates.all_candidates`. A pair may come more than once.

    Args:
        thumbnails: uint8 (n, 32, 32).
        new: bool (n,).
        distance: most differing bits.
        bands: of the signatures.
    """
    described = describe(thumbnails, bands)
    load = Load()
    for four in track(range(bands.fours), total=bands.fours, what="Comparing pictures"):
        buckets = Buckets(rows_of(described, new, four))
        load += buckets.load
        yield from buckets.matches(described.hashes, distance)
    report(load, len(thumbnails))


def rows_of(described: Described, new: NDArray[np.bool_], four: int) -> Rows:
    """The rows of one four of tables, with the bands of the next four as salt."""
    lit = np.flatnonzero(~described.flat)
    count, poses = len(lit), len(POSES)
    following = (four + 1) % described.bands.shape[1]
    return Rows(
        bucket=described.bands[lit, four].ravel().astype(np.int64),
        salt=described.bands[lit, following].ravel(),
        pose=np.tile(np.arange(poses, dtype=np.uint8), count),
        image=np.repeat(lit, poses),
        new=np.repeat(new[lit], poses),
    )


def report(load: Load, images: int) -> None:
    """Log how many buckets were overfull, if any were."""
    if load.overfull:
        logger.warning(
            "Near duplicates: of %d images, many are alike: %d buckets were overfull and were "
            "divided, %d rows met only the first of their bucket. The search may miss more pairs "
            "than usual there. See docs/decisions/near-duplicates.md.",
            images,
            load.overfull,
            load.capped,
        )
