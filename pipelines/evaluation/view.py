"""Where a cell of a feature map looks, by the network's own gradients."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras

PICTURES = 4
SEED = 0


def centre_of_view(model: "keras.Model", cell: int) -> float | None:
    """The pixel on which a cell's view is centred, the mean of both axes.

    The squares of the gradients of a random mixture of the cell's features with respect to
    pictures of noise say how much each pixel counts for it (the effective receptive field: Luo et
    al. 2016, arXiv 1701.04128).

    Args:
        model: of the zoo, with a layer ``features``.
        cell: its row and its column.

    Returns:
        A pixel, 0 the first; ``None`` where no pixel counts.
    """
    import keras
    import tensorflow as tf

    network = keras.Model(model.input, model.get_layer("features").output)
    drawn = np.random.default_rng(SEED)
    noise = drawn.uniform(0, 255, (PICTURES, *model.input_shape[1:]))
    mixture = tf.constant(drawn.standard_normal(network.output.shape[-1]), tf.float32)
    pictures = tf.constant(noise, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(pictures)
        score = tf.reduce_sum(network(pictures, training=False)[:, cell, cell] * mixture)
    counts = np.square(tape.gradient(score, pictures).numpy()).sum(axis=(0, 3), dtype=np.float64)
    if not counts.sum():
        return None
    places = np.arange(len(counts))
    both = counts.sum(axis=0) + counts.sum(axis=1)
    return float((both * places).sum() / both.sum())
