"""Grad-CAM by automatic differentiation: the definition itself, for any head, and slower."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.gradcam import Floats, normalised

if TYPE_CHECKING:
    import keras


def class_activation_by_gradients(
    model: "keras.Model", image: NDArray[np.float32], target: int
) -> Floats:
    """Where a model's last feature map supports a class.

    Args:
        model: a model of the zoo, with layers ``features`` and ``logits``.
        image: float32 (size, size, 3), 0 to 255.
        target: index of the class.

    Returns:
        float32 (h, w), 0 to 1.
    """
    import keras
    import tensorflow as tf

    layers = ("features", "logits")
    both = keras.Model(model.input, [model.get_layer(name).output for name in layers])
    with tf.GradientTape() as tape:
        features, logits = both(image[None], training=False)
        score = logits[0, target]
    weights = tf.reduce_mean(tape.gradient(score, features)[0], axis=(0, 1))
    heat = tf.nn.relu(tf.tensordot(features[0], weights, axes=1))
    return normalised(heat.numpy())
