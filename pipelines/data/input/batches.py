"""Rows of a split as tf.data batches, shuffled by seed and epoch.

The order of an epoch is one permutation of all rows. It depends on the rows, the seed and the epoch
only, so a training that resumes at epoch 7 sees what it would have seen.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.data.input.arrays import Arrays
from pipelines.data.input.training_set import Images

if TYPE_CHECKING:
    import tensorflow as tf


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
        """Rows in the order of (seed, epoch); float32 batches with int32 labels.

        Args:
            batch_size: rows of a batch; the last may have fewer.
            seed: the run's.
            epoch: from 0.
            shown: (rows,) how often each row comes; once if ``None``.
        """
        every = np.arange(len(self.labels))
        rows = every if shown is None else every.repeat(shown)
        return self._batches(np.random.default_rng((seed, epoch)).permutation(rows), batch_size)

    def in_order(self, batch_size: int) -> "tf.data.Dataset":
        """Every row once, in order; float32 batches with int32 labels."""
        return self._batches(np.arange(len(self.labels)), batch_size)

    def _batches(self, order: NDArray[np.int64], batch_size: int) -> "tf.data.Dataset":
        def read(number: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.int32]]:
            chosen = order[number * batch_size : (number + 1) * batch_size]
            return self.arrays.take(chosen), self.labels[chosen]

        return gathered(read, -(-len(order) // batch_size), self.arrays)


def gathered(read: Any, steps: int, arrays: Arrays) -> "tf.data.Dataset":
    """Batches that a function reads by their number, several at a time, in order.

    Args:
        read: number of a batch → its rows and its labels.
        steps: how many batches there are.
        arrays: what the rows are of.
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
