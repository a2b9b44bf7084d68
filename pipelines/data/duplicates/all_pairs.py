"""Candidates for near duplicates among few images: every pair, none is missed."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pipelines.data.duplicates.descriptors import (
    POSES,
    Candidates,
    Positions,
    Thumbnails,
    posed_hashes,
)
from pipelines.progress import track

BLOCK_PAIRS = 1 << 23


def candidates(
    thumbnails: Thumbnails, new: NDArray[np.bool_], *, distance: int
) -> Iterator[Candidates]:
    """Pairs of images, one of them at least new, whose hashes differ in few bits.

    Args:
        thumbnails: uint8 (n, 32, 32).
        new: bool (n,).
        distance: most differing bits.
    """
    hashes = posed_hashes(thumbnails)
    parts = blocks(new)
    work = [(pose, part) for pose in range(len(POSES)) for part in parts]
    for pose, (first, second) in track(work, total=len(work), what="Comparing pictures"):
        bits = np.bitwise_count(hashes[first, 0][:, None] ^ hashes[second, pose][None, :])
        row, column = np.nonzero((bits <= distance) & (first[:, None] < second[None, :]))
        yield first[row], second[column], np.full(len(row), pose, np.uint8)


def blocks(new: NDArray[np.bool_]) -> list[tuple[Positions, Positions]]:
    """What to compare with what, so many at a time that memory is bounded.

    Each pair of which one is new is in one block, in order.
    """
    fresh, known = np.flatnonzero(new), np.flatnonzero(~new)
    everything = np.arange(len(new))
    found = []
    start = 0
    while start < len(fresh):
        left = everything[fresh[start] :]
        rows = max(1, BLOCK_PAIRS // len(left))
        found.append((fresh[start : start + rows], left))
        start += rows
    rows = max(1, BLOCK_PAIRS // max(len(fresh), 1))
    for start in range(0, len(known) if len(fresh) else 0, rows):
        found.append((known[start : start + rows], fresh))
    return found
