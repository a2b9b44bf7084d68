"""Shades summed up pixel by pixel: what adds up to means and deviations, however work is divided.

The sums are whole numbers, so the same images give the same means to the last bit: also where they
are those of an earlier profile, plus the images that came and less those that went.
"""

import io
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipelines.data.input.arrays import decode_column
from pipelines.data.prepare.listings import part_path
from pipelines.features.small import grey
from pipelines.outputs import SplitName
from pipelines.settings import Settings
from pipelines.spark.parquet import opened
from pipelines.spark.session import told
from pipelines.stage import Context
from pipelines.storage import open_store

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ASKED = ["part", "row", "split", "label", "times"]
"""Columns of `changes`: where an image is, what it is added to, and how often."""
NAMES = ("images", "total", "squares", "levels")
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

    def add(self, image: NDArray[np.uint8], times: int = 1) -> None:
        """Add a picture, uint8 (size, size); ``times`` -1 takes it away."""
        shades = image.astype(np.int64)
        self.images += times
        self.total += times * shades
        self.squares += times * shades**2
        self.levels += times * np.bincount(image.ravel(), minlength=LEVELS)

    def merge(self, other: "ShadeSums") -> None:
        """Add what another holds."""
        for name in NAMES:
            setattr(self, name, getattr(self, name) + getattr(other, name))

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


def changes(before: pa.Table, now: pa.Table) -> pa.Table:
    """The images to add (``times`` 1) and to take away (-1) to get from sums to others: `ASKED`.

    Args:
        before: of `pipelines.data.prepare.keys.placed`: the images in the sums.
        now: the images that should be.
    """
    key = ASKED[:-1]
    signed = [
        table.select(key).append_column("times", pa.array([times] * table.num_rows, pa.int64()))
        for table, times in ((before, -1), (now, 1))
    ]
    counted = pa.concat_tables(signed).group_by(key).aggregate([("times", "sum")])
    return counted.rename_columns(ASKED).filter(pc.field("times") != 0)


def sum_up(
    spark: "SparkSession", context: Context, folder: str, images: pa.Table, *, size: int
) -> dict[Key, ShadeSums]:
    """The sums of images, by split and class; the driver gets those of each task.

    Args:
        spark: the session.
        context: settings and store.
        folder: store path of the prepared images.
        images: of `changes`.
        size: side of the square images in pixels.
    """
    from pyspark.sql import functions as F

    parts = images["part"].combine_chunks().dictionary_encode()
    tasks = max(1, min(len(parts.dictionary), spark.sparkContext.defaultParallelism))
    asked = images.to_pandas().assign(task=parts.indices.to_numpy() % tasks)
    summed = (
        spark.createDataFrame(asked)
        .repartitionById(tasks, F.col("task"))
        .mapInArrow(_Adding(context.settings, folder, size), "sums binary")
    )
    with told(spark, what="Summing up shades", tasks=tasks):
        found = [unpacked(row["sums"]) for row in summed.collect()]
    return reduce(merged, found, {})


def merged(first: Mapping[Key, ShadeSums], second: Mapping[Key, ShadeSums]) -> dict[Key, ShadeSums]:
    """Both together."""
    found: dict[Key, ShadeSums] = {}
    for sums in (first, second):
        for key, one in sums.items():
            found.setdefault(key, ShadeSums(one.size)).merge(one)
    return found


def packed(sums: Mapping[Key, ShadeSums]) -> bytes:
    """Sums as the content of a ``.npz`` file."""
    content = io.BytesIO()
    arrays = {
        f"{split}.{label}.{name}": getattr(one, name)
        for (split, label), one in sums.items()
        for name in NAMES
    }
    np.savez_compressed(content, allow_pickle=False, **arrays)
    return content.getvalue()


def unpacked(content: bytes) -> dict[Key, ShadeSums]:
    """What `packed` wrote."""
    found: dict[Key, ShadeSums] = {}
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        for file in arrays.files:
            split, label, name = file.split(".")
            size = len(arrays[f"{split}.{label}.total"])
            one = found.setdefault((split, int(label)), ShadeSums(size))
            setattr(one, name, int(arrays[file]) if name == "images" else arrays[file])
    return found


@dataclass(frozen=True)
class _Adding:
    """Places of images in, sums out; ``mapInArrow`` calls this in the executors."""

    settings: Settings
    folder: str
    size: int

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        found: dict[Key, ShadeSums] = {}
        rows = [row for batch in batches for row in batch.to_pylist()]
        for part in sorted({row["part"] for row in rows}):
            asked: dict[int, list[dict[str, Any]]] = {}
            for row in rows:
                if row["part"] == part:
                    asked.setdefault(row["row"], []).append(row)
            for place, image in self._images(part, asked.keys()):
                for row in asked[place]:
                    key = (row["split"], row["label"])
                    found.setdefault(key, ShadeSums(self.size)).add(image, row["times"])
        yield pa.RecordBatch.from_pydict({"sums": [packed(found)]})

    def _images(
        self, part: str, places: Collection[int]
    ) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Some grey images of a part, each with its place; only their row groups are read."""
        shape, first = (self.size, self.size, 3), 0
        with opened(open_store(self.settings), part_path(self.folder, part)) as file:
            for number in range(file.num_row_groups):
                last = first + file.metadata.row_group(number).num_rows
                if wanted := sorted(place for place in places if first <= place < last):
                    pixels = file.read_row_group(number, ["pixels"])["pixels"]
                    images = decode_column(pixels, np.uint8, shape)
                    yield from ((place, grey(images[place - first])) for place in wanted)
                first = last
