"""Grad-CAM of many images at once, whatever the model's head."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.cells import Cells, spread
from pipelines.evaluation.gradcam import Floats, class_activation, normalised
from pipelines.evaluation.head import dense_head
from pipelines.evaluation.network import Network

if TYPE_CHECKING:
    import keras

BATCH = 32
Pictures = NDArray[np.uint8]
"""(n, size, size, 3), as the model sees them."""
Targets = NDArray[np.int64]
"""(n,) index of the class whose support is drawn."""
Maps = NDArray[np.float32]
"""(n, h, w), 0 to 1; all zero where nothing supports the class."""


class Explainer:
    """Draws what a model's last feature map holds for a class.

    The closed form where the head allows it, automatic differentiation where not.

    Args:
        network: what is explained.
    """

    def __init__(self, network: Network) -> None:
        self.model = network.model
        self.cells: Cells = network.cells
        self._size = network.size
        has_form = dense_head(network.model)
        self._maps = _closed_form(network) if has_form else _by_gradients(network.model)

    def activations(self, pictures: Pictures, targets: Targets) -> Maps:
        """The maps as the feature map has them, (n, h, w)."""
        parts = [
            self._maps(pictures[i : i + BATCH].astype(np.float32), targets[i : i + BATCH])
            for i in range(0, len(pictures), BATCH)
        ]
        return np.concatenate(parts)

    def heats(self, pictures: Pictures, targets: Targets) -> Maps:
        """The maps over the pictures, (n, size, size)."""
        drawn = [spread(m, self.cells, self._size) for m in self.activations(pictures, targets)]
        return np.stack(drawn)


Drawing = Callable[[Floats, Targets], Maps]
"""A batch of float32 (n, size, size, 3), and its targets, to maps."""


def _closed_form(network: Network) -> Drawing:
    def maps(images: Floats, targets: Targets) -> Maps:
        features = network.features(images)
        head = dense_head(network.model)  # as it is now: its weights may have been changed
        return np.stack(
            [class_activation(f, head, int(t)) for f, t in zip(features, targets, strict=True)]
        )

    return maps


def _by_gradients(model: "keras.Model") -> Drawing:
    """The definition itself (Selvaraju et al. 2017): images of a batch do not see each other."""
    import keras
    import tensorflow as tf

    names = ("features", "logits")
    both = keras.Model(model.inputs[0], [model.get_layer(name).output for name in names])

    def heat(images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(images)
            features, logits = both(images, training=False)
            scores = tf.gather(logits, targets, batch_dims=1)
        weights = tf.reduce_mean(tape.gradient(scores, features), axis=(1, 2))
        return tf.nn.relu(tf.einsum("nhwk,nk->nhw", features, weights))

    signature = [
        tf.TensorSpec((None, *model.input_shape[1:]), tf.float32),
        tf.TensorSpec((None,), tf.int64),
    ]
    draw = tf.function(heat, input_signature=signature)

    def maps(images: Floats, targets: Targets) -> Maps:
        return np.stack([normalised(m) for m in draw(images, targets).numpy()])

    return maps
