"""A Keras model as the files a bundle serves: OpenVINO IR and the head's dense layers."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.evaluation.head import dense_head
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
        # By way of a SavedModel: the direct conversion does not keep the outputs' names. Read by
        # the core: `openvino.convert_model` does the same and also reports to its makers.
        keras.Model(model.inputs, outputs).export(saved, format="tf_saved_model", verbose=False)
        graph = openvino.Core().read_model(saved)
        openvino.save_model(graph, folder / IR, compress_to_fp16=False)


def export_head(model: "keras.Model", folder: Path) -> None:
    """Write ``head.npz``: ``kernel_i`` and ``bias_i`` of `dense_head`'s layers, in order."""
    arrays: dict[str, np.ndarray] = {}
    for number, (kernel, bias) in enumerate(dense_head(model)):
        arrays |= {f"kernel_{number}": kernel, f"bias_{number}": bias}
    np.savez(folder / HEAD, **arrays)  # type: ignore[arg-type]
