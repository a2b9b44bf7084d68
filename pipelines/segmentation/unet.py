"""A small U-Net (Ronneberger, Fischer and Brox 2015, arXiv 1505.04597): where is the lesion?

It works at half of the picture's resolution: a lesion that is to be cropped around need not be
outlined to the pixel, and that is four times as fast.
"""

import keras
from keras import layers

WIDTHS = (12, 24, 48, 96)
"""Filters at each depth; 0.3 million weights together."""
MOMENTUM = 0.9
"""Of batch normalisation: its statistics must follow within the few dozen steps of an epoch."""


def build(size: int) -> keras.Model:
    """The network with random weights.

    Args:
        size: side of the square images in pixels, a multiple of 16.

    Returns:
        From ``image``, float32 (n, size, size, 3), 0 to 255, to ``lesion``, the probability of
        each pixel to be of the lesion, float32 (n, size, size, 1).
    """
    image = keras.Input((size, size, 3), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="scaling")(image)
    x = layers.AveragePooling2D(2, name="half")(x)
    passed = []
    for depth, width in enumerate(WIDTHS):
        x = _convolved(x, width, f"down{depth}")
        if depth < len(WIDTHS) - 1:
            passed.append(x)
            x = layers.MaxPooling2D(2, name=f"down{depth}_pool")(x)
    for depth in reversed(range(len(passed))):
        x = layers.UpSampling2D(2, interpolation="bilinear", name=f"up{depth}_larger")(x)
        x = layers.Concatenate(name=f"up{depth}_joined")([x, passed[depth]])
        x = _convolved(x, WIDTHS[depth], f"up{depth}")
    x = layers.Conv2D(1, 1, name="lesion_logits")(x)
    x = layers.UpSampling2D(2, interpolation="bilinear", name="whole")(x)
    return keras.Model(image, layers.Activation("sigmoid", name="lesion")(x), name="unet")


def _convolved(x: keras.KerasTensor, width: int, name: str) -> keras.KerasTensor:
    """Two 3 x 3 convolutions, each with batch normalisation and ReLU."""
    for part in ("first", "second"):
        block = f"{name}_{part}"
        x = layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"{block}_conv")(x)
        x = layers.BatchNormalization(momentum=MOMENTUM, name=f"{block}_bn")(x)
        x = layers.ReLU(name=f"{block}_relu")(x)
    return x
