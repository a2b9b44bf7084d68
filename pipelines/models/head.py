"""The parts that models of the zoo share: their input, their heads, and how a model is cut.

A model takes ``image``, float32 (size, size, 3) in the range of uint8, and scales it itself. The
feature map that Grad-CAM looks at is named ``features``; what stands behind it is the head. It
ends in ``logits`` (batch, classes) and their softmax, ``probabilities``. Every layer before
``features`` that has weights is named ``<block>_<part>``, so that fine-tuning can thaw block by
block.
"""

import itertools
import re

import keras
from keras import layers

HIDDEN_UNITS = 256
FEATURES = "features"
POOLED = "pooling"
LOGITS = "logits"
PROBABILITIES = "probabilities"
BLOCK = re.compile(r"[^_]+(?:_block\d+)?")
"""What a layer's name begins with: ``block3`` of ``block3_project_conv``, ``conv2_block1`` of
``conv2_block1_1_conv``."""


def image_input(size: int) -> keras.KerasTensor:
    """A model's input: float32 (batch, size, size, 3), values 0 to 255."""
    return keras.Input((size, size, 3), name="image", dtype="float32")


def with_head(features: keras.KerasTensor, *, classes: int, dropout: float) -> keras.KerasTensor:
    """Probabilities from the last feature map (batch, h, w, k), which is named ``features``:
    pooling → Dense 256 ReLU → dropout → Dense → softmax."""
    x = layers.GlobalAveragePooling2D(name=POOLED)(features)
    x = layers.Dense(HIDDEN_UNITS, activation="relu", name="hidden")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    return softmax_of(layers.Dense(classes, name=LOGITS)(x))


def softmax_of(logits: keras.KerasTensor) -> keras.KerasTensor:
    """Probabilities from ``logits`` (batch, classes)."""
    return layers.Activation("softmax", name=PROBABILITIES)(logits)


def sigmoid_or_softmax(x: keras.KerasTensor, *, classes: int) -> keras.KerasTensor:
    """Probabilities by one sigmoid unit where there are two classes, by softmax where there are
    more.

    The unit ``z`` speaks for the second class. Its sigmoid is the softmax of the logits
    ``(-z / 2, z / 2)``: the same probability, and each class has a score that Grad-CAM can ask.
    """
    if classes > 2:
        return softmax_of(layers.Dense(classes, name=LOGITS)(x))
    unit = layers.Dense(1, name="unit")(x)
    sides = [
        layers.Rescaling(-0.5, name="unit_against")(unit),
        layers.Rescaling(0.5, name="unit_for")(unit),
    ]
    return softmax_of(layers.Concatenate(name=LOGITS)(sides))


def backbone(model: keras.Model) -> keras.Model:
    """From image to feature map (batch, h, w, k); shares the model's layers."""
    return keras.Model(model.input, model.get_layer(FEATURES).output)


def feature_extractor(model: keras.Model) -> keras.Model:
    """From image to the numbers that the head reads, (batch, k); shares the model's layers."""
    return keras.Model(model.input, vector(model).output)


def head_on_features(model: keras.Model) -> keras.Model:
    """From those numbers (batch, k) to logits; shares the model's layers, so that training it
    trains the model's head."""
    return keras.Model(vector(model).output, model.get_layer(LOGITS).output)


def vector(model: keras.Model) -> layers.Layer:
    """The layer behind ``features`` that makes a vector of the map: pooling, or flattening."""
    names = [layer.name for layer in model.layers]
    behind = model.layers[names.index(FEATURES) + 1 :]
    return next(layer for layer in behind if len(layer.output.shape) == 2)


def blocks(model: keras.Model) -> list[list[layers.Layer]]:
    """The backbone's layers, block by block from the image on."""
    weighted = [layer for layer in backbone(model).layers if layer.weights]
    return [list(block) for _, block in itertools.groupby(weighted, key=_block)]


def _block(layer: layers.Layer) -> str:
    found = BLOCK.match(layer.name)
    assert found is not None, layer.name
    return found.group()
