"""Which image stands in which shard, and where: decided before any pixel is read.

The order is that of a keyed hash of each image, so it is random to the eye, the same for the
same seed, and independent of how Spark divides the work.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from pipelines.outputs import SPLITS, SplitName

SHARD_BYTES = 128 << 20
"""Pixels in a shard, before compression: an HDFS block, and a good unit to stream."""
ROW_GROUP_BYTES = 20 << 20
"""Pixels in a row group, before compression: what a reader has to hold."""
MOST_GROUP_ROWS = 256


@dataclass(frozen=True)
class ShardLayout:
    """How many images go together.

    Args:
        size: side of the square images in pixels.
    """

    size: int

    @property
    def row_bytes(self) -> int:
        """Bytes of one image's pixels."""
        return self.size * self.size * 3

    @property
    def shard_rows(self) -> int:
        """Most images in a shard."""
        return max(1, SHARD_BYTES // self.row_bytes)

    @property
    def group_rows(self) -> int:
        """Images in a row group."""
        return max(1, min(MOST_GROUP_ROWS, ROW_GROUP_BYTES // self.row_bytes))


def plan_shards(images: pd.DataFrame, *, seed: int, shard_rows: int) -> pd.DataFrame:
    """Give every image its shard and its place in it.

    Args:
        images: ``sha256``, ``source_path`` and ``split`` of each image, in any order.
        seed: another seed, another order.
        shard_rows: most images in a shard; a split's shards differ by one image at most.

    Returns:
        ``images`` with ``name`` (``train-00000.parquet``), ``shard`` (a number for each name,
        from 0) and ``position`` (the order within the split), in that order.
    """
    keyed = images.assign(key=[_key(seed, *row) for row in _identities(images)])
    parts, first = [], 0
    for split in SPLITS:
        part = _plan_split(keyed[keyed["split"] == split], split, first, shard_rows=shard_rows)
        parts.append(part)
        first += part["shard"].nunique()
    return pd.concat(parts, ignore_index=True)


def _identities(images: pd.DataFrame) -> Iterator[tuple[str, str]]:
    return zip(images["sha256"], images["source_path"], strict=True)


def _key(seed: int, sha256: str, source_path: str) -> str:
    return hashlib.sha256(f"{seed}:{sha256}:{source_path}".encode()).hexdigest()


def _plan_split(
    images: pd.DataFrame, split: SplitName, first: int, *, shard_rows: int
) -> pd.DataFrame:
    ordered = images.sort_values("key").drop(columns="key").reset_index(drop=True)
    shards = -(-len(ordered) // shard_rows)
    number = [position * shards // len(ordered) for position in range(len(ordered))]
    return ordered.assign(
        name=[f"{split}-{n:05}.parquet" for n in number],
        shard=[first + n for n in number],
        position=range(len(ordered)),
    )
