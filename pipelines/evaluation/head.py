"""The layers behind a model's last feature map, as plain arrays."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras

Dense = tuple[NDArray[np.float32], NDArray[np.float32]]


def dense_head(model: "keras.Model") -> list[Dense]:
    """What leads from the last feature map (h, w, k), made a vector, to the logits.

    The vector is the mean over positions, the map as it is, or the map after 2 x 2 maximum
    pooling; how many numbers the first kernel takes tells which. What stands between the dense
    layers and is affine once training is over, such as batch normalisation, is in their kernels.

    Returns:
        (kernel (in, out), bias (out,)) of each dense layer; ReLU between them, none after the
        last. Empty if the head is of another form.
    """
    behind = _behind(model)
    start = _vector(model, behind)
    if start is None:
        return []
    return _dense(behind[start].output, behind[start + 1 :])


def _behind(model: "keras.Model") -> list["keras.layers.Layer"]:
    """The layers from ``features`` to ``logits`` that do something when training is over."""
    import keras

    from pipelines.models.average import own_logits

    head = keras.Model(model.get_layer("features").output, own_logits(model).output)
    idle = keras.layers.InputLayer | keras.layers.Dropout
    return [layer for layer in head.layers if not isinstance(layer, idle)]


def _vector(model: "keras.Model", behind: list["keras.layers.Layer"]) -> int | None:
    """Where the feature map becomes a vector; ``None`` if in no way that is known."""
    from keras import layers

    match behind:
        case [layers.GlobalAveragePooling2D(), *_]:
            return 0
        case [layers.Flatten(), *_]:
            return 0
        case [layers.MaxPooling2D() as pool, layers.Flatten(), *_] if (
            pool.pool_size == pool.strides == (2, 2)
            and pool.padding == "valid"
            and min(model.get_layer("features").output.shape[1:3]) > 3  # else it could be a mean
        ):
            return 1
    return None


def _dense(begin: "keras.KerasTensor", rest: list["keras.layers.Layer"]) -> list[Dense]:
    from keras import activations, layers

    found: list[Dense] = []
    between: list[layers.Layer] = []
    for layer in rest:
        if isinstance(layer, layers.Dense) and layer.activation is activations.relu:
            found.append(_joined(begin, between, layer))
            begin, between = layer.output, []
        elif _is_affine(layer):
            between.append(layer)
        else:
            return []
    return [*found, _joined(begin, between[:-1], between[-1])]


def _is_affine(layer: "keras.layers.Layer") -> bool:
    from keras import activations, layers

    if isinstance(layer, layers.Dense):
        return layer.activation is activations.linear
    return isinstance(layer, layers.BatchNormalization | layers.Rescaling | layers.Concatenate)


def _joined(
    begin: "keras.KerasTensor", before: list["keras.layers.Layer"], last: "keras.layers.Layer"
) -> Dense:
    """Affine layers as one: from the vector ``begin`` to what ``last`` makes, before its ReLU."""
    import keras

    if not isinstance(last, keras.layers.Dense):
        return _probed(begin, last.output)
    weights, offset = last.get_weights()
    if not before:
        return weights, offset
    kernel, bias = _probed(begin, before[-1].output)
    return kernel @ weights, bias @ weights + offset


def _probed(begin: "keras.KerasTensor", end: "keras.KerasTensor") -> Dense:
    """An affine map between two vectors of a model, by its answers to zero and to each unit
    vector."""
    import keras

    ask = keras.Model(begin, end)
    bias = np.asarray(ask(np.zeros((1, begin.shape[-1]), np.float32), training=False))[0]
    kernel = np.asarray(ask(np.eye(begin.shape[-1], dtype=np.float32), training=False)) - bias
    return kernel, bias
