"""Candidates for near duplicates among many images, by bands of signatures (LSH).

The cost grows with the number of images and of similar images, not with its square. About 2 of 100
pairs of correlation 0.94 or more are missed at most (docs/decisions/near-duplicates.md).

A bit of a signature is the sign of a random projection of the normalised thumbnail. Two images of
correlation c agree in it with probability 1 - arccos(c) / pi (Charikar 2002, "Similarity Estimation
Techniques from Rounding Algorithms"). Each table has one band of bits; images that agree in a whole
band of any table are candidates.

A group of four tables has the same projections in the four poses. So the signature of a flipped
image is its own, with the tables of each group exchanged, and whether two images match does not
depend on which of them is flipped.
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
    """Bits per band, and number of tables."""

    bits: int
    """Bits of a band, at most 32."""
    table_groups: int
    """Groups of four tables."""


PLANS: Final = ((1_000_000, Bands(16, 6)), (10_000_000, Bands(20, 10)))
LARGEST: Final = Bands(24, 16)


def bands_for(images: int) -> Bands:
    """Bands that find 98 % of the pairs of correlation 0.94, with fewer than 400 random candidates
    per image, by computation (docs/decisions/near-duplicates.md)."""
    return next((bands for most, bands in PLANS if images <= most), LARGEST)


def signatures(images: NDArray[np.float32], bands: Bands) -> NDArray[np.uint32]:
    """The bands of images: uint32 (n, table_groups, 4), the last axis in the order of `POSES`.

    Args:
        images: float32 (n, 32, 32), see `descriptors.normalised`.
        bands: bits and tables.
    """
    projected = images.reshape(len(images), -1) @ _projections(bands)
    bits = (projected > 0).reshape(len(images), bands.table_groups, len(POSES), bands.bits)
    value = np.uint32(1) << np.arange(bands.bits, dtype=np.uint32)
    found: NDArray[np.uint32] = (bits * value).sum(axis=-1, dtype=np.uint32)
    return found


@lru_cache(maxsize=2)
def _projections(bands: Bands) -> NDArray[np.float32]:
    """(1024, tables x bits)."""
    shape = (bands.table_groups, bands.bits, SIDE, SIDE)
    drawn = np.random.default_rng(SEED).standard_normal(shape, dtype=np.float32)
    posed = [drawn[:, :, ::rows, ::columns] for rows, columns in POSES.values()]
    return np.stack(posed, axis=1).reshape(-1, SIDE * SIDE).T.copy()


logger = logging.getLogger(__name__)

CHUNK = 1 << 14


@dataclass(frozen=True)
class Described:
    """Hashes and signatures of images."""

    hashes: NDArray[np.uint64]
    """uint64 (n, 4)."""
    bands: NDArray[np.uint32]
    """uint32 (n, table_groups, 4)."""
    flat: NDArray[np.bool_]
    """bool (n,): images without detail, which have no duplicates."""


def describe(thumbnails: Thumbnails, bands: Bands) -> Described:
    """Compute hashes and signatures in chunks, so that memory is bounded."""
    count = len(thumbnails)
    hashes = np.empty((count, len(POSES)), np.uint64)
    signed = np.empty((count, bands.table_groups, len(POSES)), np.uint32)
    flat = np.empty(count, np.bool_)
    for start in range(0, count, CHUNK):
        part = slice(start, start + CHUNK)
        images = normalised(thumbnails[part])
        hashes[part] = posed_hashes(thumbnails[part])
        signed[part] = signatures(images, bands)
        flat[part] = ~images.any(axis=(1, 2))
    return Described(hashes, signed, flat)


def candidates(
    thumbnails: Thumbnails, new: NDArray[np.bool_], *, distance: int, bands: Bands
) -> Iterator[Candidates]:
    """Pairs of images that agree in a band, as of `duplicates.all_candidates`. Pairs may repeat.

    Args:
        thumbnails: uint8 (n, 32, 32).
        new: bool (n,).
        distance: most differing bits.
        bands: bits and tables.
    """
    described = describe(thumbnails, bands)
    load = Load()
    for table_group in track(
        range(bands.table_groups), total=bands.table_groups, what="Comparing images"
    ):
        buckets = Buckets(rows_of(described, new, table_group))
        load += buckets.load
        yield from buckets.matches(described.hashes, distance)
    report(load, len(thumbnails))


def rows_of(described: Described, new: NDArray[np.bool_], table_group: int) -> Rows:
    """The rows of one group of tables, with the bands of the next group as salt."""
    with_detail = np.flatnonzero(~described.flat)
    count, poses = len(with_detail), len(POSES)
    following = (table_group + 1) % described.bands.shape[1]
    return Rows(
        bucket=described.bands[with_detail, table_group].ravel().astype(np.int64),
        salt=described.bands[with_detail, following].ravel(),
        pose=np.tile(np.arange(poses, dtype=np.uint8), count),
        image=np.repeat(with_detail, poses),
        new=np.repeat(new[with_detail], poses),
    )


def report(load: Load, images: int) -> None:
    """Log the number of overfull buckets, if any."""
    if load.overfull:
        logger.warning(
            "Near duplicates: many of %d images are similar. %d buckets were overfull and divided; "
            "%d rows were compared with the first rows of their bucket only, so the search may "
            "miss more pairs than usual. See docs/decisions/near-duplicates.md.",
            images,
            load.overfull,
            load.capped,
        )
