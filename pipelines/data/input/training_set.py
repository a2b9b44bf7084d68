"""A training set on this machine: a table of images, arrays of their pixels, and batches.

Pixels are in memory-mapped arrays, which `pipelines.data.input.cache` writes, so a dozen images
cost a dozen reads. The files of an open training set stay readable after they are deleted.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipelines.data.input.arrays import Arrays
from pipelines.outputs import SplitName
from pipelines.stage import fingerprint

if TYPE_CHECKING:
    import tensorflow as tf

LESIONS = "lesions"
"""Folder of arrays with masks, beside the pixels."""
Describe = Callable[[pa.Table, Any], Path]
"""Rows and a backbone → the folder of arrays with the features of their parts."""


class Batch(NamedTuple):
    """Consecutive images of a split."""

    images: NDArray[np.uint8]
    """(n, size, size, 3) RGB."""
    labels: NDArray[np.int32]
    """(n,) index into the classes."""
    ids: list[str]
    """sha256 of each original."""
    paths: list[str]
    """Source path of each original."""


@dataclass(frozen=True, eq=False)
class Images:
    """The images of one split, in the order of the training set."""

    size: int
    """Side of the square images in pixels."""
    folder: Path
    """Folder of the arrays."""
    table: pa.Table
    """`pipelines.data.prepare.keys.PLACED`."""

    @property
    def rows(self) -> int:
        """Number of images."""
        return int(self.table.num_rows)

    def labels(self) -> NDArray[np.int32]:
        """(rows,) index into the classes."""
        return self.column("label").astype(np.int32)

    def column(self, name: str) -> NDArray[Any]:
        """(rows,) values of a column."""
        found: NDArray[Any] = self.table[name].to_numpy()
        return found

    @cached_property
    def arrays(self) -> Arrays:
        """Pixels of the images, uint8 (size, size, 3)."""
        return Arrays.of(self.folder, self.table)

    @cached_property
    def _lesions(self) -> Arrays:
        return Arrays.of(self.folder / LESIONS, self.table, "lesion")

    def pixels(self, positions: Sequence[int] | NDArray[Any]) -> NDArray[np.uint8]:
        """(positions, size, size, 3) the images at some positions, in that order."""
        if not len(positions):
            return np.empty((0, self.size, self.size, 3), np.uint8)
        return self.arrays.take(positions)

    def batches(self, batch_size: int) -> Iterator[Batch]:
        """All images, in order; the last batch may be smaller."""
        arrays = self.arrays
        labels, ids, paths = self.labels(), self.column("sha256"), self.column("source_path")
        for start in range(0, self.rows, batch_size):
            part = slice(start, min(start + batch_size, self.rows))
            images = arrays.take(np.arange(part.start, part.stop))
            yield Batch(images, labels[part], ids[part].tolist(), paths[part].tolist())

    def with_lesion(self) -> NDArray[np.int64]:
        """Positions of the images with a mask."""
        return np.flatnonzero(self.column("lesion") >= 0)

    def lesions(self, positions: Sequence[int] | NDArray[Any]) -> NDArray[np.bool_]:
        """(positions, size, size) true on the lesion; the images must have masks."""
        if not len(positions):
            return np.empty((0, self.size, self.size), np.bool_)
        return self._lesions.take(positions) > 0


@dataclass(frozen=True)
class Part:
    """Rows of a split, and their target split."""

    source: SplitName
    chosen: NDArray[np.bool_]
    """(rows of the source split,)"""
    target: SplitName


@dataclass(frozen=True)
class TrainingSet:
    """A list of prepared images with label, split and location."""

    id: str
    """Fingerprint of the list."""
    classes: tuple[str, ...]
    """In the order of the labels."""
    size: int
    """Side of the square images in pixels."""
    folder: Path
    """Folder of the arrays and features, one file per part."""
    table: pa.Table = field(compare=False, repr=False)
    describe: Describe | None = field(default=None, compare=False, repr=False)
    """Computes missing features; see `pipelines.features.extract.training_set`."""

    def split(self, name: SplitName) -> Images:
        """One of ``train``, ``validation``, ``test``."""
        return Images(self.size, self.folder, self.table.filter(pc.field("split") == name))

    def described(self, split: SplitName) -> pd.DataFrame:
        """``sha256``, ``source_path``, ``group`` and ``label`` (index) of a split, in order."""
        columns = ["sha256", "source_path", "group", "label"]
        found: pd.DataFrame = self.split(split).table.select(columns).to_pandas()
        return found

    def subset(self, parts: Sequence[Part]) -> "TrainingSet":
        """The chosen rows in their target splits. Copies no pixels."""
        tables = []
        for part in parts:
            rows = self.split(part.source).table.filter(pa.array(part.chosen))
            target = pa.array([part.target] * rows.num_rows, pa.string())
            tables.append(rows.set_column(rows.schema.get_field_index("split"), "split", target))
        table = pa.concat_tables(tables).combine_chunks()
        chosen = [table["split"].to_pylist(), table["sha256"].to_pylist()]
        return replace(self, id=fingerprint(self.id, chosen), table=table)


@dataclass(frozen=True, eq=False)
class Stream:
    """Rows of arrays, each with its label.

    Args:
        arrays: the rows.
        labels: (rows,) index into the classes.
    """

    arrays: Arrays
    labels: NDArray[np.int32]

    def shuffled(
        self, batch_size: int, *, seed: int, epoch: int, shown: NDArray[np.int64] | None = None
    ) -> "tf.data.Dataset":
        """Shuffled rows; float32 batches with int32 labels.

        Args:
            batch_size: rows per batch; the last may have fewer.
            seed: seed of the run.
            epoch: from 0.
            shown: (rows,) how often each row occurs; once if ``None``.
        """
        every = np.arange(len(self.labels))
        rows = every if shown is None else every.repeat(shown)
        return self._batches(np.random.default_rng((seed, epoch)).permutation(rows), batch_size)

    def in_order(self, batch_size: int) -> "tf.data.Dataset":
        """All rows in order; float32 batches with int32 labels."""
        return self._batches(np.arange(len(self.labels)), batch_size)

    def _batches(self, order: NDArray[np.int64], batch_size: int) -> "tf.data.Dataset":
        def read(number: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.int32]]:
            chosen = order[number * batch_size : (number + 1) * batch_size]
            return self.arrays.take(chosen), self.labels[chosen]

        return gathered(read, -(-len(order) // batch_size), self.arrays)


def gathered(read: Any, steps: int, arrays: Arrays) -> "tf.data.Dataset":
    """Batches that a function reads by number, several in parallel, in order.

    Args:
        read: number of a batch → its rows and its labels.
        steps: number of batches.
        arrays: the arrays of the rows.
    """
    import tensorflow as tf

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def batch(number: Any) -> Any:
        rows, labels = tf.numpy_function(read, [number], (arrays.dtype, tf.int32))
        rows = tf.ensure_shape(rows, (None, *arrays.shape))
        return tf.cast(rows, tf.float32), tf.ensure_shape(labels, (None,))

    numbers = tf.data.Dataset.range(steps)
    return numbers.map(batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(2)


def pixels(split: Images) -> Stream:
    """The images of a split: uint8 (size, size, 3), batched as float32 of the same range."""
    return Stream(split.arrays, split.labels())
