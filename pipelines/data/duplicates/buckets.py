"""Which images meet in a bucket: those that have a band of a table in common.

A pure function of rows, one for each image and table, so that it does the same in one process
and in Spark's executors.

Buckets can be overfull: many images of one body part, or a thousand copies of one picture. A
bucket of more than `MOST` rows is divided by further bits of the signature (the salt). Alike
images agree in those too, more often than not. Each row of what is overfull still meets the first
`MOST` rows only: copies of one picture then hang together by way of those.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.data.duplicates.descriptors import Candidates, Positions

MOST = 200
"""Rows of a bucket that are all compared with each other."""
BLOCK_PAIRS = 1 << 22


@dataclass(frozen=True)
class Rows:
    """One row for each image and table, of whole buckets; all arrays have one length."""

    bucket: NDArray[np.int64]
    salt: NDArray[np.uint32]
    pose: NDArray[np.uint8]
    """Number of the pose that the table's projections were turned into."""
    image: Positions
    new: NDArray[np.bool_]


@dataclass(frozen=True)
class Load:
    """How full buckets were."""

    overfull: int = 0
    """Buckets of more than `MOST` rows."""
    capped: int = 0
    """Rows that met only the first `MOST` rows of their bucket."""

    def __add__(self, other: "Load") -> "Load":
        return Load(self.overfull + other.overfull, self.capped + other.capped)


class Buckets:
    """The rows of buckets, in the order in which they are compared."""

    def __init__(self, rows: Rows) -> None:
        _, index, size = np.unique(rows.bucket, return_inverse=True, return_counts=True)
        salted = np.ceil(np.log2(np.maximum(size / MOST, 1))).astype(np.uint32)
        salt = rows.salt & ((np.uint32(1) << salted) - np.uint32(1))[index]
        # What is known comes first: a new row meets what is before it.
        order = np.lexsort((rows.pose, rows.image, rows.new, salt, index))
        self._rows, self._order = rows, order
        index, salt = index[order], salt[order]
        begins = np.ones(len(order), bool)
        begins[1:] = (index[1:] != index[:-1]) | (salt[1:] != salt[:-1])
        self._start = np.flatnonzero(begins)[np.cumsum(begins) - 1]
        before = np.arange(len(order)) - self._start
        self._meets = np.where(rows.new[order], np.minimum(before, MOST), 0)
        capped = int((rows.new[order] & (before > MOST)).sum())
        self.load = Load(int((size > MOST).sum()), capped)

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
        for later, earlier in self._met():
            one, other = image[later], image[earlier]
            first, second = np.minimum(one, other), np.maximum(one, other)
            turned = pose[later] ^ pose[earlier]
            bits = np.bitwise_count(hashes[first, 0] ^ hashes[second, turned])
            alike = (bits <= distance) & (first != second)
            yield first[alike], second[alike], turned[alike]

    def _met(self) -> Iterator[tuple[Positions, Positions]]:
        """Pairs of rows (positions in order), so many at a time that memory is bounded."""
        ends = np.cumsum(self._meets)
        done = 0
        while done < len(ends):
            compared = int(ends[done - 1]) if done else 0
            # A row meets MOST others at most, so a block is never empty.
            until = int(np.searchsorted(ends, compared + BLOCK_PAIRS, side="right"))
            part = slice(done, until)
            meets = self._meets[part]
            later = np.repeat(np.arange(done, until), meets)
            offset = np.arange(len(later)) - np.repeat(ends[part] - meets - compared, meets)
            yield later, np.repeat(self._start[part], meets) + offset
            done = until
