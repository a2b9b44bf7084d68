"""ResNet-50 (He et al. 2016, arXiv 1512.03385), as Keras has it, with our head.

Its weights come from Caffe: they expect blue before red, and the mean of ImageNet taken off. The
first layer takes off the mean; the order is turned once, in the kernel of the first convolution.
"""

from pathlib import Path
from typing import Annotated

import keras
from keras.applications import ResNet50
from pydantic import Field

from pipelines.models.applications import (
    backbone_on,
    copy_weights,
    named_features,
    pretrained,
)
from pipelines.models.head import with_head

MEAN = (123.68, 116.779, 103.939)
"""Of red, green and blue in ImageNet."""


def build(
    image: keras.KerasTensor, *, classes: int, dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
) -> keras.KerasTensor:
    """The model with random weights; the feature map is (size / 32, size / 32, 2048)."""
    x = keras.layers.Rescaling(1.0, offset=[-mean for mean in MEAN], name="scaling")(image)
    features = named_features(backbone_on(x, ResNet50).output)
    return with_head(features, classes=classes, dropout=dropout)


def load_imagenet(model: keras.Model, file: Path | None = None) -> None:
    """Give the backbone of a model from `build` its ImageNet weights, from a file as Keras
    publishes it or, if ``None``, from where `pretrained` finds them.

    Raises:
        WeightsUnavailable: they are not on this machine, and cannot be downloaded.
    """
    copy_weights(pretrained("resnet50", ResNet50, file), model)
    first = model.get_layer("conv1_conv")
    kernel, bias = first.get_weights()
    first.set_weights([kernel[:, :, ::-1, :], bias])
