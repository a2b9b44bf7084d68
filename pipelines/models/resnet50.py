"""ResNet-50 (He et al. 2016, arXiv 1512.03385), as Keras has it, with our head.

Its weights come from Caffe: they expect blue before red, and the mean of ImageNet taken off. The
first layer takes off the mean; the order is turned once, in the kernel of the first convolution.
"""

from pathlib import Path
from typing import Annotated

import keras
from pydantic import Field

from pipelines.models.applications import Application, copy_weights, named_features
from pipelines.models.head import with_head

RESNET50 = Application(
    keras.applications.ResNet50, "resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
)
MEAN = (123.68, 116.779, 103.939)
"""Of red, green and blue in ImageNet."""


def build(
    image: keras.KerasTensor, *, classes: int, dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
) -> keras.KerasTensor:
    """The model with random weights; the feature map is (size / 32, size / 32, 2048)."""
    x = keras.layers.Rescaling(1.0, offset=[-mean for mean in MEAN], name="scaling")(image)
    features = named_features(RESNET50.on(x).output)
    return with_head(features, classes=classes, dropout=dropout)


def load_imagenet(model: keras.Model) -> None:
    """Give the backbone of a model from `build` its ImageNet weights.

    Raises:
        WeightsUnavailable: they are not on this machine, and cannot be downloaded.
    """
    _take(model, RESNET50.from_imagenet())


def load_published(model: keras.Model, path: Path) -> None:
    """The same from a file as Keras publishes it (``..._notop.h5``)."""
    _take(model, RESNET50.from_file(path))


def _take(model: keras.Model, application: keras.Model) -> None:
    copy_weights(application, model)
    first = model.get_layer("conv1_conv")
    kernel, bias = first.get_weights()
    first.set_weights([kernel[:, :, ::-1, :], bias])
