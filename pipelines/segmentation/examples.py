"""Images with masks, as the U-Net is trained on them: those without one are passed over, and so
are the groups that a fold's network is not to learn from (``without``)."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines.data.input.lesions import COLUMN
from pipelines.data.input.shards import Split, decode_column

if TYPE_CHECKING:
    import tensorflow as tf

READ_ROWS = 64
BUFFER = 512
"""Images that are shuffled among each other."""


NO_GROUPS: frozenset[str] = frozenset()


def masked(split: Split, *, without: frozenset[str] = NO_GROUPS) -> int:
    """How many images of a split have a mask."""
    return sum(1 for file in _files(split) for _ in _with_mask(file, ["label"], without))


def in_order(split: Split, batch_size: int) -> "tf.data.Dataset":
    """Every image with a mask once, in file order: float32 (n, size, size, 3), 0 to 255, with
    float32 (n, size, size, 1), 1 on the lesion."""
    return _pairs(split, _files(split), NO_GROUPS).map(_floats).batch(batch_size).prefetch(2)


def shuffled(
    split: Split,
    batch_size: int,
    *,
    seed: int,
    epoch: int,
    without: frozenset[str] = NO_GROUPS,
) -> "tf.data.Dataset":
    """The same in the order of (seed, epoch), each image turned over by chance."""
    drawn = np.random.default_rng((seed, epoch))
    files = [_files(split)[i] for i in drawn.permutation(len(split.shards))]
    order, turns = (int(n) for n in drawn.integers(1 << 31, size=2))
    pairs = _pairs(split, files, without).shuffle(BUFFER, seed=order)
    turned = pairs.enumerate().map(lambda number, pair: _turned(pair, (turns, number)))
    return turned.map(_floats).batch(batch_size).prefetch(2)


def _files(split: Split) -> list[Any]:
    return [split.folder / shard.name for shard in split.shards]


def _pairs(split: Split, files: list[Any], without: frozenset[str]) -> "tf.data.Dataset":
    import tensorflow as tf

    size = split.size
    signature = (
        tf.TensorSpec((size, size, 3), tf.uint8),
        tf.TensorSpec((size, size, 1), tf.uint8),
    )
    return tf.data.Dataset.from_generator(
        lambda: _read(files, size, without), output_signature=signature
    )


def _read(
    files: list[Any], size: int, without: frozenset[str]
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    for file in files:
        for row in _with_mask(file, ["pixels", COLUMN], without):
            images = decode_column(row.column("pixels"), np.uint8, (size, size, 3))
            masks = decode_column(row.column(COLUMN), np.uint8, (size, size, 1))
            yield from zip(images, masks, strict=True)


def _with_mask(file: Any, columns: list[str], without: frozenset[str]) -> Iterator[Any]:
    """The rows of a file that have a mask and are of other groups, one or a few at a time."""
    with pq.ParquetFile(file, memory_map=True) as parquet:
        if COLUMN not in parquet.schema_arrow.names:
            return
        wanted = list(dict.fromkeys([*columns, COLUMN, *(["group"] if without else [])]))
        for batch in parquet.iter_batches(batch_size=READ_ROWS, columns=wanted):
            chosen = pc.is_valid(batch.column(COLUMN))
            if without:
                held_out = pc.is_in(batch.column("group"), pa.array(sorted(without)))
                chosen = pc.and_(chosen, pc.invert(held_out))
            rows = batch.filter(chosen)
            yield from (rows.slice(i, 1) for i in range(rows.num_rows))


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
