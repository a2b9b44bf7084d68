"""The dense layers behind a model's last feature map, as plain arrays."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras

Dense = tuple[NDArray[np.float32], NDArray[np.float32]]


def dense_head(model: "keras.Model") -> list[Dense]:
    """What leads from the pooled feature map to the logits.

    Returns:
        (kernel (in, out), bias (out,)) of each dense layer; ReLU between them, none after the
        last. Empty if the head is anything but global average pooling, dense layers and dropout.
    """
    import keras

    names = [layer.name for layer in model.layers]
    head = model.layers[names.index("features") + 1 : names.index("logits") + 1]
    if not head or not isinstance(head[0], keras.layers.GlobalAveragePooling2D):
        return []
    layers = [layer for layer in head[1:] if not isinstance(layer, keras.layers.Dropout)]
    activations = ["relu"] * (len(layers) - 1) + ["linear"]
    for layer, activation in zip(layers, activations, strict=True):
        if not isinstance(layer, keras.layers.Dense) or layer.activation.__name__ != activation:
            return []
    return [tuple(layer.get_weights()) for layer in layers]
