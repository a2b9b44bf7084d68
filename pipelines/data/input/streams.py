"""Parquet rows → tf.data: shuffled by seed and epoch, with memory that stays flat as data grows.

Files are read in an order drawn by seed and epoch, a few rows at a time, into a shuffle buffer
of bounded size. The order depends on nothing else, so a training that resumes at epoch 7 sees
what it would have seen.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines.data.input.shards import Split, decode_column

if TYPE_CHECKING:
    import tensorflow as tf

READ_BYTES = 4 << 20
"""Read at a time from a file."""
SHUFFLE_BYTES = 192 << 20
"""Most memory the shuffle buffer takes."""

_Part = tuple[Path, NDArray[np.int64] | None]
"""A file, and how often each of its rows comes."""


@dataclass(frozen=True)
class Stream:
    """Rows of Parquet files as (array, label) pairs.

    Args:
        files: what to read.
        rows: rows in all files together.
        column: the binary column; each value is the bytes of one array.
        dtype: of that array, as numpy names it.
        shape: of that array.
    """

    files: tuple[Path, ...]
    rows: int
    column: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def row_bytes(self) -> int:
        """Bytes of one row's array."""
        return int(np.dtype(self.dtype).itemsize * np.prod(self.shape))

    def shuffled(
        self, batch_size: int, *, seed: int, epoch: int, shown: NDArray[np.int64] | None = None
    ) -> "tf.data.Dataset":
        """Rows in the order of (seed, epoch); float32 batches with int32 labels.

        Args:
            batch_size: rows of a batch; the last may have fewer.
            seed: the run's.
            epoch: from 0.
            shown: (rows,) how often each row comes, in file order; once if ``None``.
        """
        drawn = np.random.default_rng((seed, epoch))
        order = drawn.permutation(len(self.files))
        total = self.rows if shown is None else int(shown.sum())
        buffer = max(1, min(total, SHUFFLE_BYTES // self.row_bytes))
        blocks = self._blocks(self._parts(order, shown)).unbatch()
        rows = blocks.shuffle(buffer, seed=int(drawn.integers(1 << 31)))
        return _finish(rows.batch(batch_size), rows=total, batch_size=batch_size)

    def in_order(self, batch_size: int) -> "tf.data.Dataset":
        """Every row once, in file order; float32 batches with int32 labels."""
        parts = self._parts(np.arange(len(self.files)), None)
        rows = self._blocks(parts).rebatch(batch_size)
        return _finish(rows, rows=self.rows, batch_size=batch_size)

    def _parts(self, order: NDArray[np.int64], shown: NDArray[np.int64] | None) -> list[_Part]:
        """The files in an order, each with how often its rows come."""
        if shown is None:
            return [(self.files[i], None) for i in order]
        ends = np.cumsum([pq.read_metadata(file).num_rows for file in self.files])
        pieces = np.split(shown, ends[:-1])
        return [(self.files[i], pieces[i]) for i in order]

    def _blocks(self, parts: list[_Part]) -> "tf.data.Dataset":
        import tensorflow as tf

        signature = (
            tf.TensorSpec((None, *self.shape), self.dtype),
            tf.TensorSpec((None,), "int32"),
        )
        return tf.data.Dataset.from_generator(lambda: self._read(parts), output_signature=signature)

    def _read(self, parts: list[_Part]) -> Iterator[tuple[NDArray[Any], NDArray[np.int32]]]:
        rows = max(1, READ_BYTES // self.row_bytes)
        for file, shown in parts:
            begin = 0
            with pq.ParquetFile(file, memory_map=True) as parquet:
                for batch in parquet.iter_batches(batch_size=rows, columns=[self.column, "label"]):
                    values = decode_column(batch.column(self.column), self.dtype, self.shape)
                    labels = batch.column("label").to_numpy().astype(np.int32)
                    times = 1 if shown is None else shown[begin : begin + len(labels)]
                    begin += len(labels)
                    yield values.repeat(times, axis=0), labels.repeat(times)


def pixels(split: Split) -> Stream:
    """The images of a split: uint8 (size, size, 3), batched as float32 of the same range."""
    return Stream(
        files=tuple(split.folder / shard.name for shard in split.shards),
        rows=split.rows,
        column="pixels",
        dtype="uint8",
        shape=(split.size, split.size, 3),
    )


def _finish(batches: "tf.data.Dataset", *, rows: int, batch_size: int) -> "tf.data.Dataset":
    import tensorflow as tf

    options = tf.data.Options()
    options.deterministic = True
    options.experimental_optimization.apply_default_optimizations = True
    floats = batches.map(lambda x, y: (tf.cast(x, tf.float32), y))
    counted = floats.apply(tf.data.experimental.assert_cardinality(-(-rows // batch_size)))
    return counted.prefetch(2).with_options(options)
