"""A small convolutional network to train from scratch: four blocks, 0.7 million weights.

It says how far an image collection gets without knowledge from other pictures.
"""

from typing import Annotated

import keras
from keras import layers
from pydantic import Field

from pipelines.models.head import FEATURES, with_head

FILTERS = (24, 48, 96, 192)
MOMENTUM = 0.9
"""Of batch normalisation: its statistics must follow within the few dozen steps of an epoch."""


def build(
    image: keras.KerasTensor, *, classes: int, dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
) -> keras.KerasTensor:
    """The model with random weights; the feature map is (size / 16, size / 16, 192)."""
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="scaling")(image)
    for number, filters in enumerate(FILTERS):
        block = f"block{number}"
        last = number == len(FILTERS) - 1
        x = layers.Conv2D(
            filters, 3, strides=2, padding="same", use_bias=False, name=f"{block}_down_conv"
        )(x)
        x = layers.BatchNormalization(momentum=MOMENTUM, name=f"{block}_down_bn")(x)
        x = layers.ReLU(name=f"{block}_down_relu")(x)
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{block}_conv")(x)
        x = layers.BatchNormalization(momentum=MOMENTUM, name=f"{block}_bn")(x)
        x = layers.ReLU(name=FEATURES if last else f"{block}_relu")(x)
    return with_head(x, classes=classes, dropout=dropout)
