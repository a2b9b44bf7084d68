"""Shades summed up pixel by pixel: what adds up to means and deviations, however work is divided.

The sums are whole numbers, so the same images give the same means to the last bit.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.data.input.arrays import decode_column
from pipelines.features.worker import grey
from pipelines.outputs import SplitName

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

DDL = "split string, label int, images long, total binary, squares binary, levels binary"
LEVELS = 256

Whole = NDArray[np.int64]
Key = tuple[SplitName, int]
"""Split and label."""


@dataclass
class ShadeSums:
    """Sums over a set of grey images of one size."""

    size: int
    images: int = 0
    total: Whole = field(init=False)
    """(size, size) sum of shades."""
    squares: Whole = field(init=False)
    """(size, size) sum of their squares."""
    levels: Whole = field(init=False)
    """(256,) how many pixels have each shade."""

    def __post_init__(self) -> None:
        self.total = np.zeros((self.size, self.size), np.int64)
        self.squares = np.zeros((self.size, self.size), np.int64)
        self.levels = np.zeros(LEVELS, np.int64)

    def add(self, image: NDArray[np.uint8]) -> None:
        """Add a picture, uint8 (size, size)."""
        shades = image.astype(np.int64)
        self.images += 1
        self.total += shades
        self.squares += shades**2
        self.levels += np.bincount(image.ravel(), minlength=LEVELS)

    def merge(self, other: "ShadeSums") -> None:
        """Add what another holds."""
        self.images += other.images
        self.total += other.total
        self.squares += other.squares
        self.levels += other.levels

    @property
    def mean(self) -> NDArray[np.float64]:
        """(size, size) mean image, 0 to 255; zero without images."""
        return self.total / max(self.images, 1)

    @property
    def std(self) -> NDArray[np.float64]:
        """(size, size) standard deviation of each pixel over the images."""
        return np.sqrt(np.maximum(self.squares / max(self.images, 1) - self.mean**2, 0))

    @property
    def histogram(self) -> NDArray[np.float64]:
        """(256,) share of the pixels that have each shade."""
        return self.levels / max(int(self.levels.sum()), 1)


def sum_up(images: "DataFrame", *, size: int) -> dict[Key, ShadeSums]:
    """The sums of each class in each split.

    What the tasks have summed is added up by Spark too: the driver gets one row a class and split.

    Args:
        images: as `pipelines.data.prepare.frame.frame` gives them.
        size: side of the square images in pixels.
    """
    parts = images.select("split", "label", "pixels").mapInArrow(_Adding(size), DDL)
    merged = parts.repartition("split", "label").mapInArrow(_Merging(size), DDL)
    return {
        (row["split"], row["label"]): _read(row.asDict(), size=size) for row in merged.collect()
    }


@dataclass(frozen=True)
class _Adding:
    """Pixels in, sums out; ``mapInArrow`` calls this in the executors."""

    size: int

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        found: dict[Key, ShadeSums] = {}
        for batch in batches:
            pixels = decode_column(batch.column("pixels"), np.uint8, (self.size, self.size, 3))
            keys = zip(
                batch.column("split").to_pylist(), batch.column("label").to_pylist(), strict=True
            )
            for key, image in zip(keys, pixels, strict=True):
                found.setdefault(key, ShadeSums(self.size)).add(grey(image))
        yield from _written(found)


@dataclass(frozen=True)
class _Merging:
    """Sums in, fewer sums out."""

    size: int

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        found: dict[Key, ShadeSums] = {}
        for batch in batches:
            for row in batch.to_pylist():
                key = (row["split"], row["label"])
                found.setdefault(key, ShadeSums(self.size)).merge(_read(row, size=self.size))
        yield from _written(found)


def _written(found: dict[Key, ShadeSums]) -> Iterator[pa.RecordBatch]:
    for (split, label), sums in found.items():
        arrays = {name: getattr(sums, name).tobytes() for name in ("total", "squares", "levels")}
        row = {"split": split, "label": label, "images": sums.images} | arrays
        yield pa.RecordBatch.from_pylist([row], schema=_SCHEMA)


_SCHEMA = pa.schema(
    [
        ("split", pa.string()),
        ("label", pa.int32()),
        ("images", pa.int64()),
        ("total", pa.binary()),
        ("squares", pa.binary()),
        ("levels", pa.binary()),
    ]
)


def _read(row: dict[str, Any], *, size: int) -> ShadeSums:
    sums = ShadeSums(size, row["images"])
    sums.total = np.frombuffer(row["total"], np.int64).reshape(size, size).copy()
    sums.squares = np.frombuffer(row["squares"], np.int64).reshape(size, size).copy()
    sums.levels = np.frombuffer(row["levels"], np.int64).copy()
    return sums
