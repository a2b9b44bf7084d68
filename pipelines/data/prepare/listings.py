"""The folder of prepared images: parts that are written once, and a listing beside each.

    <dataset>/prepared/<key>/parts/<sha256>.parquet      pixels, masks
    <dataset>/prepared/<key>/listings/<sha256>.parquet   which images that part holds
    <dataset>/prepared/<key>/manifest.json               `pipelines.outputs.PreparedImages`

A part is named by the sha256 of its bytes, so readers verify it by its name, and a second attempt
of a Spark task writes the same file. Its listing is created after it and makes it visible: a part
without a listing holds nothing that anybody reads. Two writers that prepare the same image at once
may leave it in two parts; its pixels are the same in both, and readers take the first.
"""

import io
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from pipelines.errors import NotFound
from pipelines.storage import Store

LEVELS = np.arange(256)
SUMS = [f"{what}_{channel}" for what in ("total", "squares") for channel in "rgb"]
"""Columns of a table of images: the sum of an image's levels and of their squares."""


class LevelSums(NamedTuple):
    """Sums over the pixels of one image, for each of its three channels."""

    total: NDArray[np.int64]
    squares: NDArray[np.int64]


def level_sums(pixels: NDArray[np.uint8]) -> LevelSums:
    """Sum up one image, uint8 (height, width, 3)."""
    counts = np.reshape(Image.fromarray(pixels).histogram(), (3, len(LEVELS)))
    return LevelSums(counts @ LEVELS, counts @ LEVELS**2)


def describe(rows: pd.DataFrame, *, size: int) -> Mapping[str, Any]:
    """``rows`` (number of images) and, for each channel (R, G, B), ``mean`` and ``std``.

    Args:
        rows: one row an image, with `SUMS`.
        size: side of the images in pixels.

    Returns:
        Means and population deviations are grey levels, 0 to 255; null without images.
    """
    if rows.empty:
        return {"rows": 0, "mean": None, "std": None}
    total, squares = rows[SUMS].sum().to_numpy(np.int64).reshape(2, 3) / (len(rows) * size**2)
    deviation = np.sqrt(np.maximum(squares - total**2, 0))
    return {"rows": len(rows), "mean": total.round(4).tolist(), "std": deviation.round(4).tolist()}


IDENTITY = ["sha256", "finder", "mask"]
"""What tells prepared images of one folder apart: the sha256 of the original, of the network whose
lesion it is cropped to and of the mask that came with it; the last two are empty without one."""
PLACE = ["part", "row", "lesion"]
"""Where an image is: the sha256 of its part, its row there, and its number among the part's masks
(-1 without one)."""
LISTED = pa.schema(
    [
        *((name, pa.string()) for name in IDENTITY),
        ("row", pa.int32()),
        ("lesion", pa.int32()),
        ("is_whole", pa.bool_()),
        *((name, pa.int64()) for name in SUMS),
    ]
)
"""``is_whole``: the image is not cropped although the others are cropped to lesions."""
SUFFIX = ".parquet"


def part_path(folder: str, part: str) -> str:
    """Store path of a part."""
    return f"{folder}/parts/{part}{SUFFIX}"


def listing_path(folder: str, part: str) -> str:
    """Store path of a part's listing."""
    return f"{folder}/listings/{part}{SUFFIX}"


def listing(rows: pa.Table) -> bytes:
    """The content of a listing, from rows of `LISTED`."""
    content = io.BytesIO()
    pq.write_table(rows, content, compression="zstd")
    return content.getvalue()


def listed(store: Store, folder: str) -> pd.DataFrame:
    """The images that a folder holds: the columns of `LISTED` and ``part``; each image once.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    return _rows(store, folder).drop_duplicates(IDENTITY, ignore_index=True)


def rows_of_parts(store: Store, folder: str) -> dict[str, int]:
    """Part → how many images it holds, of all parts of a folder."""
    return {
        str(part): int(rows) for part, rows in _rows(store, folder)["part"].value_counts().items()
    }


def _rows(store: Store, folder: str) -> pd.DataFrame:
    try:
        return _read(store, folder)
    except NotFound:  # small parts have just been merged into another one
        return _read(store, folder)


def _read(store: Store, folder: str) -> pd.DataFrame:
    tables = []
    for name in store.names(f"{folder}/listings"):
        rows = pq.read_table(io.BytesIO(store.read(f"{folder}/listings/{name}")))
        part = pa.array([name.removesuffix(SUFFIX)] * rows.num_rows, pa.string())
        tables.append(rows.append_column("part", part))
    empty = LISTED.append(pa.field("part", pa.string())).empty_table()
    found: pd.DataFrame = pa.concat_tables([empty, *tables]).to_pandas()
    return found
