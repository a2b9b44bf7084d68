"""A small convolutional network to train from scratch: four blocks, 0.7 million weights.

It says how far an image collection gets without knowledge from other pictures.
"""

import keras
from keras import layers

from pipelines.models.head import FEATURES, image_input, with_head

FILTERS = (24, 48, 96, 192)
MOMENTUM = 0.9
"""Of batch normalisation: its statistics must follow within the few dozen steps of an epoch."""


def build(*, size: int, classes: int, dropout: float) -> keras.Model:
    """The model with random weights; the feature map is (size / 16, size / 16, 192)."""
    image = image_input(size)
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
    return with_head(image, x, classes=classes, dropout=dropout, name="strided_cnn")
