"""The folder of prepared images: immutable parts, and a listing of each.

    <dataset>/prepared/<key>/parts/<sha256>.parquet      pixels, masks
    <dataset>/prepared/<key>/listings/<sha256>.parquet   the images of that part
    <dataset>/prepared/<key>/manifest.json               `pipelines.outputs.PreparedImages`

A part is named by the sha256 of its bytes, so readers can verify it, and a second attempt of a
Spark task writes the same file. Its listing is created after it and makes it visible: readers
ignore a part without a listing. If two writers prepare an image at once, it may be in two parts
with the same pixels, and readers use the first.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from pipelines.data.parquet_files import read_table
from pipelines.errors import NotFound
from pipelines.storage import Store

LEVELS = np.arange(256)
SUMS = [f"{what}_{channel}" for what in ("total", "squares") for channel in "rgb"]
"""Columns: the sum of an image's grey levels, and of their squares, per channel."""


class LevelSums(NamedTuple):
    """Sums over the pixels of one image, per channel. Integers, so their order does not matter."""

    total: NDArray[np.int64]
    squares: NDArray[np.int64]


def level_sums(pixels: NDArray[np.uint8]) -> LevelSums:
    """The sums of one image, uint8 (height, width, 3)."""
    counts = np.reshape(Image.fromarray(pixels).histogram(), (3, len(LEVELS)))
    return LevelSums(counts @ LEVELS, counts @ LEVELS**2)


def describe(rows: pd.DataFrame, *, size: int) -> Mapping[str, Any]:
    """``rows`` (number of images) and, for each channel (R, G, B), ``mean`` and ``std``.

    Args:
        rows: one row per image, with `SUMS`.
        size: side of the images in pixels.

    Returns:
        Means and population standard deviations in grey levels, 0 to 255; null without images.
    """
    if rows.empty:
        return {"rows": 0, "mean": None, "std": None}
    total, squares = rows[SUMS].sum().to_numpy(np.int64).reshape(2, 3) / (len(rows) * size**2)
    deviation = np.sqrt(np.maximum(squares - total**2, 0))
    return {"rows": len(rows), "mean": total.round(4).tolist(), "std": deviation.round(4).tolist()}


IDENTITY = ["sha256", "finder", "mask"]
"""The key of a prepared image: sha256 of the original, of the network that found the lesion it is
cropped to, and of its mask; the last two may be empty."""
LOCATION = ["part", "row", "lesion"]
"""sha256 of the part of an image, its row there, and its number among the masks of the part (-1
without a mask)."""
LISTED = pa.schema(
    [
        *((name, pa.string()) for name in IDENTITY),
        ("row", pa.int32()),
        ("lesion", pa.int32()),
        ("is_whole", pa.bool_()),
        *((name, pa.int64()) for name in SUMS),
    ]
)
"""``is_whole``: the image is not cropped, although the spec crops to lesions."""
SUFFIX = ".parquet"


def part_path(folder: str, part: str) -> str:
    """Store path of a part."""
    return f"{folder}/parts/{part}{SUFFIX}"


def listing_path(folder: str, part: str) -> str:
    """Store path of a part's listing."""
    return f"{folder}/listings/{part}{SUFFIX}"


def features_path(folder: str, part: str) -> str:
    """Store path of the features of a part, in a folder of features."""
    return f"{folder}/{part}{SUFFIX}"


def listed(store: Store, folder: str) -> pd.DataFrame:
    """The images of a folder, each once: the columns of `LISTED`, and ``part``.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    return _rows(store, folder).drop_duplicates(IDENTITY, ignore_index=True)


def rows_of_parts(store: Store, folder: str) -> dict[str, int]:
    """Part → number of its images, for all parts of a folder."""
    return {
        str(part): int(rows) for part, rows in _rows(store, folder)["part"].value_counts().items()
    }


def _rows(store: Store, folder: str) -> pd.DataFrame:
    try:
        return _read(store, folder)
    except NotFound:  # small parts were merged meanwhile
        return _read(store, folder)


def _read(store: Store, folder: str) -> pd.DataFrame:
    tables = []
    for name in store.names(f"{folder}/listings"):
        rows = read_table(store, f"{folder}/listings/{name}")
        part = pa.array([name.removesuffix(SUFFIX)] * rows.num_rows, pa.string())
        tables.append(rows.append_column("part", part))
    empty = LISTED.append(pa.field("part", pa.string())).empty_table()
    found: pd.DataFrame = pa.concat_tables([empty, *tables]).to_pandas()
    return found
