"""Inception-v3 (Szegedy et al. 2016, arXiv 1512.00567) with the head published for pneumonia.

Dropout → pooling → Dense 128 ReLU → batch normalisation → one sigmoid unit, or softmax where
there are more than two classes; 22,065,697 weights with the unit, 34,688 of them statistics.
"""

from pathlib import Path
from typing import Annotated

import keras
from keras import layers
from keras.applications import InceptionV3
from pydantic import Field

from pipelines.models.applications import (
    backbone_on,
    copy_weights,
    named_features,
    pretrained,
)
from pipelines.models.head import POOLED, sigmoid_or_softmax

INPUT_SIZE = 150


def build(
    image: keras.KerasTensor, *, classes: int, dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
) -> keras.KerasTensor:
    """The model with random weights; the feature map is (3, 3, 2048) at 150 pixels."""
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="scaling")(image)
    application = backbone_on(x, InceptionV3)
    # Keras numbers these layers through a process, so that their names tell what it built before.
    names = _names(application)
    for layer in application.layers:
        layer.name = names.get(layer.name, layer.name)
    x = named_features(application.output)
    x = layers.Dropout(dropout, name="dropout")(x)
    x = layers.GlobalAveragePooling2D(name=POOLED)(x)
    x = layers.Dense(128, activation="relu", name="hidden")(x)
    x = layers.BatchNormalization(name="hidden_bn")(x)
    return sigmoid_or_softmax(x, classes=classes)


def load_imagenet(model: keras.Model, file: Path | None = None) -> None:
    """Give the backbone of a model from `build` its ImageNet weights, from a file as Keras
    publishes it or, if ``None``, from where `pretrained` finds them.

    Raises:
        WeightsUnavailable: they are not on this machine, and cannot be downloaded.
    """
    application = pretrained("inception_v3", InceptionV3, file)
    copy_weights(application, model, _names(application))


def _names(application: keras.Model) -> dict[str, str]:
    """Keras' name → ``block<b>_<kind><n>``; a block ends where its branches meet (``mixed<b>``)."""
    names: dict[str, str] = {}
    block, count = 0, 0
    for layer in application.layers:
        kind = KINDS.get(type(layer))
        if kind is not None:
            names[layer.name] = f"block{block}_{kind}{count}"
            count += 1
        elif layer.name == f"mixed{block}":
            block, count = block + 1, 0
    return names


KINDS = {
    layers.Conv2D: "conv",
    layers.BatchNormalization: "bn",
    layers.Activation: "relu",
    layers.MaxPooling2D: "max",
    layers.AveragePooling2D: "mean",
}
