"""The network of separable convolutions published for pneumonia at 91.8 % accuracy.

Five blocks, all 3 x 3, ReLU and "same"; three dense layers on the flattened map; one sigmoid
unit, or softmax where there are more than two classes. Its shares of dropout are part of it.
"""

import keras
from keras import layers

from pipelines.models.head import FEATURES, sigmoid_or_softmax

INPUT_SIZE = 150
SEPARABLE = {32: 0.0, 64: 0.0, 128: 0.2, 256: 0.2}
"""Filters of a block → dropout behind it."""
DENSE = {512: 0.7, 128: 0.5, 64: 0.3}
"""Units of a layer → dropout behind it."""


def build(image: keras.KerasTensor, *, classes: int) -> keras.KerasTensor:
    """The model with random weights; the feature map is (9, 9, 256) at 150 pixels."""
    x = layers.Rescaling(1 / 255, name="scaling")(image)
    for part in ("conv0", "conv1"):
        x = layers.Conv2D(16, 3, padding="same", activation="relu", name=f"block0_{part}")(x)
    x = layers.MaxPooling2D(2, name="block0_pool")(x)
    for number, (filters, dropout) in enumerate(SEPARABLE.items(), start=1):
        x = _block(x, f"block{number}", filters=filters)
        if number == len(SEPARABLE):
            x = layers.Identity(name=FEATURES)(x)
        x = layers.MaxPooling2D(2, name=f"block{number}_pool")(x)
        if dropout:
            x = layers.Dropout(dropout, name=f"block{number}_dropout")(x)
    x = layers.Flatten(name="flat")(x)
    for units, dropout in DENSE.items():
        x = layers.Dense(units, activation="relu", name=f"hidden{units}")(x)
        x = layers.Dropout(dropout, name=f"dropout{units}")(x)
    return sigmoid_or_softmax(x, classes=classes)


def _block(x: keras.KerasTensor, name: str, *, filters: int) -> keras.KerasTensor:
    for part in ("conv0", "conv1"):
        x = layers.SeparableConv2D(
            filters, 3, padding="same", activation="relu", name=f"{name}_{part}"
        )(x)
    return layers.BatchNormalization(name=f"{name}_bn")(x)
