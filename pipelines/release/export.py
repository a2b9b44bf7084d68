"""A Keras model as the files a bundle serves: OpenVINO IR and the head's dense layers."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.release.bundle import HEAD, IR, OUTPUTS

if TYPE_CHECKING:
    import keras


def export_model(model: "keras.Model", folder: Path) -> None:
    """Write ``model.xml`` and ``model.bin``: float32, any batch, three outputs by name.

    Args:
        model: with layers `OUTPUTS`; takes ``image`` (n, size, size, 3), 0 to 255.
        folder: where to.
    """
    import keras
    import openvino

    outputs = {name: model.get_layer(name).output for name in OUTPUTS}
    with tempfile.TemporaryDirectory(prefix="medloop-") as saved:
        # By way of a SavedModel: the direct conversion does not keep the outputs' names.
        keras.Model(model.inputs, outputs).export(saved, format="tf_saved_model", verbose=False)
        graph = openvino.convert_model(saved)
        openvino.save_model(graph, folder / IR, compress_to_fp16=False)


def export_head(model: "keras.Model", folder: Path) -> None:
    """Write ``head.npz``: ``kernel_i`` (in, out) and ``bias_i`` (out,) of the dense layers from
    the pooled feature map to the logits; empty if the head is of another form."""
    arrays: dict[str, np.ndarray] = {}
    for number, layer in enumerate(_dense_layers(model)):
        kernel, bias = layer.get_weights()
        arrays |= {f"kernel_{number}": kernel, f"bias_{number}": bias}
    np.savez(folder / HEAD, **arrays)  # type: ignore[arg-type]


def _dense_layers(model: "keras.Model") -> "list[keras.layers.Dense]":
    """The dense layers behind ``features``, if all of the head is mean, ReLU and dense."""
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
    return layers
