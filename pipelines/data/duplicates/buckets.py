"""Compares images of the same bucket: those that share a band of a table.

The code is a pure function of rows, one per image and table, so one process and Spark executors
give the same result.

A bucket can be overfull: many images of one body part, or a thousand copies of one picture. A
bucket of more than `MAX_ROWS` rows is divided by more bits of the signature (the salt), in which
similar images usually agree too. In a part that is still overfull, each row is compared with the
first `MAX_ROWS` rows only, which is enough to link copies of one picture.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.data.duplicates.descriptors import Candidates, Positions

MAX_ROWS = 200
"""Most rows of a bucket that are all compared with each other."""
BLOCK_PAIRS = 1 << 22


@dataclass(frozen=True)
class Rows:
    """One row per image and table, of whole buckets; all arrays have the same length."""

    bucket: NDArray[np.int64]
    salt: NDArray[np.uint32]
    pose: NDArray[np.uint8]
    """Number of the pose of the table's projections."""
    image: Positions
    new: NDArray[np.bool_]


@dataclass(frozen=True)
class Load:
    """Numbers of overfull buckets and rows."""

    overfull: int = 0
    """Buckets of more than `MAX_ROWS` rows."""
    capped: int = 0
    """Rows that were compared with the first `MAX_ROWS` rows of their bucket only."""

    def __add__(self, other: "Load") -> "Load":
        return Load(self.overfull + other.overfull, self.capped + other.capped)


class Buckets:
    """The rows of buckets, in the order in which they are compared."""

    def __init__(self, rows: Rows) -> None:
        _, index, size = np.unique(rows.bucket, return_inverse=True, return_counts=True)
        salted = np.ceil(np.log2(np.maximum(size / MAX_ROWS, 1))).astype(np.uint32)
        salt = rows.salt & ((np.uint32(1) << salted) - np.uint32(1))[index]
        # Known rows come first: a new row is compared with all rows before it.
        order = np.lexsort((rows.pose, rows.image, rows.new, salt, index))
        self._rows, self._order = rows, order
        index, salt = index[order], salt[order]
        begins = np.ones(len(order), bool)
        begins[1:] = (index[1:] != index[:-1]) | (salt[1:] != salt[:-1])
        self._start = np.flatnonzero(begins)[np.cumsum(begins) - 1]
        before = np.arange(len(order)) - self._start
        self._compared = np.where(rows.new[order], np.minimum(before, MAX_ROWS), 0)
        capped = int((rows.new[order] & (before > MAX_ROWS)).sum())
        self.load = Load(int((size > MAX_ROWS).sum()), capped)

    def matches(self, hashes: NDArray[np.uint64], distance: int) -> Iterator[Candidates]:
        """Pairs of images that meet, one of them at least new, whose hashes differ in few bits.

        Args:
            hashes: uint64 (images, 4), see `descriptors.posed_hashes`.
            distance: most differing bits.

        Yields:
            Positions first < second, and the pose in which the second shows the first. A pair may
            come more than once.
        """
        image, pose = self._rows.image[self._order], self._rows.pose[self._order]
        for later, earlier in self._row_pairs():
            one, other = image[later], image[earlier]
            first, second = np.minimum(one, other), np.maximum(one, other)
            turned = pose[later] ^ pose[earlier]
            bits = np.bitwise_count(hashes[first, 0] ^ hashes[second, turned])
            alike = (bits <= distance) & (first != second)
            yield first[alike], second[alike], turned[alike]

    def _row_pairs(self) -> Iterator[tuple[Positions, Positions]]:
        """Pairs of rows (positions in order), in blocks so that memory is bounded."""
        ends = np.cumsum(self._compared)
        done = 0
        while done < len(ends):
            compared = int(ends[done - 1]) if done else 0
            # A row is compared with MAX_ROWS others at most, so a block is never empty.
            until = int(np.searchsorted(ends, compared + BLOCK_PAIRS, side="right"))
            part = slice(done, until)
            compared_rows = self._compared[part]
            later = np.repeat(np.arange(done, until), compared_rows)
            offset = np.arange(len(later)) - np.repeat(
                ends[part] - compared_rows - compared, compared_rows
            )
            yield later, np.repeat(self._start[part], compared_rows) + offset
            done = until
