"""Masks of lesions as they stand in prepared shards, fitted as their images are."""

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines.data.input.shards import Split

COLUMN = "lesion"
"""``size * size`` bytes a row, 1 on the lesion, 0 beside it; null where no mask came."""


def read_lesions(split: Split) -> dict[int, NDArray[np.bool_]]:
    """Position in the split, in file order → mask, bool (size, size); images without are left out.

    Empty for shards that were prepared before masks were known.
    """
    found: dict[int, NDArray[np.bool_]] = {}
    start = 0
    for shard in split.shards:
        with pq.ParquetFile(split.folder / shard.name, memory_map=True) as parquet:
            if COLUMN in parquet.schema_arrow.names:
                column = parquet.read(columns=[COLUMN])[COLUMN]
                for row, value in enumerate(column):
                    if value.is_valid:
                        mask = np.frombuffer(value.as_buffer(), np.uint8)
                        found[start + row] = mask.reshape(split.size, split.size) > 0
        start += shard.rows
    return found
