"""Images with masks, as the U-Net is trained on them: those without one are passed over, and so
are the groups that a fold's network is not to learn from (``without``)."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.data.input.training_set import Images

if TYPE_CHECKING:
    import tensorflow as tf

NO_GROUPS: frozenset[str] = frozenset()


def masked(split: Images, *, without: frozenset[str] = NO_GROUPS) -> NDArray[np.int64]:
    """Positions of the images of a split that have a mask."""
    positions = split.with_lesion()
    groups = split.column("group")[positions]
    return positions[[group not in without for group in groups]]


def in_order(split: Images, batch_size: int) -> "tf.data.Dataset":
    """Every image with a mask once, in order: float32 (n, size, size, 3), 0 to 255, with float32
    (n, size, size, 1), 1 on the lesion."""
    return _pairs(split, masked(split)).map(_floats).batch(batch_size).prefetch(2)


def shuffled(
    split: Images,
    batch_size: int,
    *,
    seed: int,
    epoch: int,
    without: frozenset[str] = NO_GROUPS,
) -> "tf.data.Dataset":
    """The same in the order of (seed, epoch), each image turned over by chance."""
    drawn = np.random.default_rng((seed, epoch))
    turns = int(drawn.integers(1 << 31))
    pairs = _pairs(split, drawn.permutation(masked(split, without=without)))
    turned = pairs.enumerate().map(lambda number, pair: _turned(pair, (turns, number)))
    return turned.map(_floats).batch(batch_size).prefetch(2)


def _pairs(split: Images, positions: NDArray[np.int64]) -> "tf.data.Dataset":
    import tensorflow as tf

    size = split.size

    def read(number: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        position = positions[number : number + 1]
        return split.pixels(position)[0], split.lesions(position)[0, ..., None].astype(np.uint8)

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def pair(number: Any) -> Any:
        image, mask = tf.numpy_function(read, [number], (tf.uint8, tf.uint8))
        return tf.ensure_shape(image, (size, size, 3)), tf.ensure_shape(mask, (size, size, 1))

    return tf.data.Dataset.range(len(positions)).map(pair, num_parallel_calls=tf.data.AUTOTUNE)


def _turned(pair: Any, seed: Any) -> Any:
    """One of the eight ways to lay a picture, mask and all."""
    import tensorflow as tf

    image, mask = pair
    both = tf.concat([image, mask], axis=-1)
    way = tf.random.stateless_uniform([2], [seed[0], seed[1]], 0, 4, dtype=tf.int32)
    both = tf.image.rot90(both, way[0])
    both = tf.cond(way[1] % 2 == 0, lambda: both, lambda: tf.image.flip_left_right(both))
    size = image.shape[0]
    both = tf.ensure_shape(both, (size, size, 4))
    return both[..., :3], both[..., 3:]


def _floats(image: Any, mask: Any) -> Any:
    import tensorflow as tf

    return tf.cast(image, tf.float32), tf.cast(mask, tf.float32)
