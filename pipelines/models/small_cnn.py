"""A plain convolutional network to train from scratch: blocks of convolution and pooling, then a
dense layer on the flattened map. What tutorials train, and what tuning can change."""

from typing import Annotated

import keras
from keras import layers
from pydantic import Field

from pipelines.models.head import FEATURES, LOGITS, softmax_of

INPUT_SIZE = 128


def build(
    image: keras.KerasTensor,
    *,
    classes: int,
    blocks: Annotated[int, Field(ge=1, le=6)] = 3,
    filters: Annotated[int, Field(ge=1, le=512)] = 32,
    most_filters: Annotated[int, Field(ge=1, le=512)] = 64,
    units: Annotated[int, Field(ge=1, le=4096)] = 128,
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5,
) -> keras.KerasTensor:
    """The model with random weights.

    Args:
        image: float32 (batch, size, size, 3), 0 to 255.
        classes: number of outputs.
        blocks: convolutions, each followed by 2 x 2 pooling.
        filters: of the first block; each further one has twice as many,
        most_filters: but none has more than this.
        units: of the dense layer.
        dropout: share of them left out in training.
    """
    x = layers.Rescaling(1 / 255, name="scaling")(image)
    for number in range(blocks):
        last = number == blocks - 1
        width = min(filters * 2**number, most_filters)
        x = layers.Conv2D(width, 3, padding="same", name=f"block{number}_conv")(x)
        x = layers.ReLU(name=FEATURES if last else f"block{number}_relu")(x)
        x = layers.MaxPooling2D(2, name=f"block{number}_pool")(x)
    x = layers.Flatten(name="flat")(x)
    x = layers.Dense(units, activation="relu", name="hidden")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    return softmax_of(layers.Dense(classes, name=LOGITS)(x))
