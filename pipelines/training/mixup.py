"""Mixup: images and their labels as weighted means of two (Zhang et al. 2018, arXiv 1710.09412)."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf


def mixup(batches: "tf.data.Dataset", alpha: float, *, seed: tuple[int, int]) -> "tf.data.Dataset":
    """Mix each image of a batch with the one before it, by a share drawn from Beta(alpha, alpha).

    Args:
        batches: (images or features (n, …), targets (n, classes), weights (n,)), all float32;
            weights are mixed by the same shares.
        alpha: 0 leaves all as it is; the larger, the nearer to halves.
        seed: the run's and the epoch's; the shares depend on them and the batch's number only.
    """
    import tensorflow as tf

    if alpha == 0:
        return batches
    start = int(np.random.default_rng((*seed, 5)).integers(1 << 31))

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def mix(number: Any, batch: Any) -> Any:
        count = tf.shape(batch[0])[:1]
        share = _beta(count, alpha, tf.stack([start, tf.cast(number, tf.int32)]))
        return tuple(_blend(part, share) for part in batch)

    return batches.enumerate().map(mix, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)


def _beta(shape: Any, alpha: float, seed: Any) -> Any:
    """Draws of Beta(alpha, alpha): a ratio of two of the gamma distribution."""
    import tensorflow as tf

    pair = tf.random.stateless_gamma(tf.concat([[2], shape], 0), seed, alpha, dtype=tf.float64)
    return tf.cast(tf.math.divide_no_nan(pair[0], pair[0] + pair[1]), tf.float32)


def _blend(part: Any, share: Any) -> Any:
    import tensorflow as tf

    share = share[(slice(None), *[None] * (len(part.shape) - 1))]
    return share * part + (1 - share) * tf.roll(part, 1, axis=0)
