"""One model that averages several readings: of an image in several poses, or by several models.

The mean is taken of logits, so the answer is the normalised geometric mean of the readings'
probabilities. ``features`` stay those of the first reading: the upright image, by the first
model. No other reading depends on them, so the gradient of the mean with respect to them is the
first reading's own, divided by the number of readings, and Grad-CAM, which is scaled to its
maximum, is exactly the first reading's map: in closed form where its head allows.
"""

from collections.abc import Sequence
from typing import Literal

import keras
from keras import layers, ops

from pipelines.models.head import LOGITS, softmax_of

OWN_LOGITS = "own_logits"
"""The layer with the first reading's logits, in an averaging model."""

Poses = Literal["upright", "mirrored", "flipped"]
FLIPS: dict[Poses, tuple[tuple[int, ...], ...]] = {
    "upright": (),
    "mirrored": ((2,),),
    "flipped": ((1,), (2,), (1, 2)),
}
"""Axes that each further pose is flipped along."""


def over_poses(model: keras.Model, poses: Poses) -> keras.Model:
    """A model that answers with the mean over poses of an image.

    Args:
        model: of the zoo; its weights are copied.
        poses: ``mirrored``: upright, and left for right. ``flipped``: upside down too, for
            images that have no upright pose.
    """
    if poses == "upright":
        return model
    first = _first_reading(model)
    image = first.input
    flipped = [ops.flip(image, axis) for axis in FLIPS[poses]]
    # `call` runs the model's own layers on another input: one graph, nothing nested in it.
    return _mean(first, [first.call(pose) for pose in flipped], name=model.name)


def over_models(models: Sequence[keras.Model]) -> keras.Model:
    """A model that answers with the mean of several.

    Args:
        models: of the zoo or averaging ones, two or more, of the same input and classes.
    """
    first = _first_reading(models[0])
    others = [_to_logits(model, name=f"member_{i}") for i, model in enumerate(models[1:], start=2)]
    return _mean(first, [other(first.input) for other in others], name="ensemble")


def _mean(first: keras.Model, others: list[keras.KerasTensor], *, name: str) -> keras.Model:
    mean = layers.Average(name=LOGITS)([first.output, *others])
    return keras.Model(first.input, softmax_of(mean), name=name)


def _first_reading(model: keras.Model) -> keras.Model:
    """A copy from image to logits, in which nothing is called `LOGITS`."""
    to_logits = _to_logits(model, name=model.name)
    averaged = any(layer.name == OWN_LOGITS for layer in model.layers)
    name = "mean_over_poses" if averaged else OWN_LOGITS

    def renamed(layer: layers.Layer) -> layers.Layer:
        config = layer.get_config()
        if layer.name == LOGITS:
            config["name"] = name
        return layer.__class__.from_config(config)

    copy = keras.models.clone_model(to_logits, clone_function=renamed)
    copy.set_weights(to_logits.get_weights())
    return copy


def _to_logits(model: keras.Model, *, name: str) -> keras.Model:
    return keras.Model(model.input, model.get_layer(LOGITS).output, name=name)
