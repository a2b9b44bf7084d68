"""The parts all models of the zoo share: scaled input, and the head behind the feature map.

A model takes ``image``, float32 (size, size, 3) in the range of uint8, scales it in its first
layer, and names the output of its last convolution ``features``. The head is pooling →
Dense(256, relu) → Dropout → Dense(classes, linear, ``logits``) → softmax (``probabilities``).
Every layer before ``features`` that has weights is named ``<block>_<part>``, so that fine-tuning
can thaw block by block.
"""

import itertools

import keras

HIDDEN_UNITS = 256
FEATURES = "features"
POOLED = "pooling"
LOGITS = "logits"
HEAD = ("hidden", "dropout", LOGITS, "probabilities")


def image_input(size: int) -> keras.KerasTensor:
    """A model's input: float32 (batch, size, size, 3), values 0 to 255."""
    return keras.Input((size, size, 3), name="image", dtype="float32")


def with_head(
    image: keras.KerasTensor,
    features: keras.KerasTensor,
    *,
    classes: int,
    dropout: float,
    name: str,
) -> keras.Model:
    """The whole model: backbone from ``image`` to ``features`` (h, w, k), then a new head."""
    x = keras.layers.GlobalAveragePooling2D(name=POOLED)(features)
    x = keras.layers.Dense(HIDDEN_UNITS, activation="relu", name="hidden")(x)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    x = keras.layers.Dense(classes, name=LOGITS)(x)
    x = keras.layers.Activation("softmax", name="probabilities")(x)
    return keras.Model(image, x, name=name)


def backbone(model: keras.Model) -> keras.Model:
    """From image to feature map (batch, h, w, k); shares the model's layers."""
    return keras.Model(model.input, model.get_layer(FEATURES).output)


def feature_extractor(model: keras.Model) -> keras.Model:
    """From image to what the head reads, (batch, k); shares the model's layers."""
    return keras.Model(model.input, model.get_layer(POOLED).output)


def head_on_features(model: keras.Model) -> keras.Model:
    """From pooled features (batch, k) to logits; shares the model's layers, so that training
    it trains the model's head."""
    features = keras.Input(model.get_layer(POOLED).output.shape[1:], name="pooled_features")
    x = features
    for name in HEAD[: HEAD.index(LOGITS) + 1]:
        x = model.get_layer(name)(x)
    return keras.Model(features, x)


def blocks(model: keras.Model) -> list[list[keras.layers.Layer]]:
    """The backbone's layers, block by block from the image on."""
    weighted = [layer for layer in backbone(model).layers if layer.weights]
    return [
        list(layers)
        for _, layers in itertools.groupby(weighted, key=lambda layer: layer.name.split("_")[0])
    ]
