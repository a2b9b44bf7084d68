"""A pretrained backbone as the executors run it: OpenVINO, from pixels to pooled features."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

IR = "backbone.xml"

Network = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


class Backbone(NamedTuple):
    """Which network describes the images."""

    model: str = "efficientnet_lite0"
    """Family in the model zoo."""
    weights: str = "imagenet"
    """``imagenet``, or a path."""


def export(backbone: Backbone, folder: Path, *, size: int) -> None:
    """Write a backbone as OpenVINO IR, float32: images in, pooled feature maps out.

    Args:
        backbone: which.
        folder: where to.
        size: side of the square images in pixels.

    Raises:
        SpecError: the zoo has no such model.
        WeightsError: its weights cannot be had.
    """
    import keras
    import openvino

    from pipelines.models.head import feature_extractor
    from pipelines.models.registry import build

    model = build(backbone.model, size=size, classes=2, weights=backbone.weights)
    with tempfile.TemporaryDirectory(prefix="medloop-") as saved:
        pooled = feature_extractor(model)
        keras.Model(pooled.inputs, pooled.outputs).export(
            saved, format="tf_saved_model", verbose=False
        )
        openvino.save_model(openvino.Core().read_model(saved), folder / IR, compress_to_fp16=False)


def load(folder: Path) -> Network:
    """Compile an exported backbone for one processor thread.

    Returns:
        uint8 (n, size, size, 3) → float32 (n, k), the mean of each of the k feature maps.
    """
    import openvino

    options = {"INFERENCE_NUM_THREADS": "1", "INFERENCE_PRECISION_HINT": "f32"}
    model = openvino.Core().compile_model(folder / IR, "CPU", options)

    def describe(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(model(images.astype(np.float32))[0])

    return describe
