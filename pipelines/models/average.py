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


def over_poses(model: keras.Model, poses: Poses) -> keras.Model:
    """A model that answers with the mean over poses of an image.

    Args:
        model: of the zoo; it is taken over: its layers are used, and its logits renamed.
        poses: ``mirrored``: upright, and left for right. ``flipped``: upside down too, for
            images that have no upright pose.
    """
    if poses == "upright":
        return model
    name, first = model.name, _first_reading(model)
    others = [ops.flip(first.input, 2)]
    if poses == "flipped":
        others += [ops.flip(pose, 1) for pose in (first.input, *others)]
    # `call` runs the model's own layers on another input: one graph, nothing nested in it.
    return _mean(first, [first.call(pose) for pose in others], name=name)


def over_models(models: Sequence[keras.Model]) -> keras.Model:
    """A model that answers with the mean of several.

    Args:
        models: of the zoo or averaging ones, two or more, of the same input and classes; they
            are taken over.
    """
    others = [
        keras.Model(model.input, model.get_layer(LOGITS).output, name=f"member_{number}")
        for number, model in enumerate(models[1:], start=2)
    ]
    first = _first_reading(models[0])
    return _mean(first, [other(first.input) for other in others], name="ensemble")


def own_logits(model: keras.Model) -> layers.Layer:
    """The layer with a model's own logits: of the first reading, if it averages several."""
    names = {layer.name for layer in model.layers}
    return model.get_layer(OWN_LOGITS if OWN_LOGITS in names else LOGITS)


def _mean(first: keras.Model, others: list[keras.KerasTensor], *, name: str) -> keras.Model:
    mean = layers.Average(name=LOGITS)([first.output, *others])
    return keras.Model(first.input, softmax_of(mean), name=name)


def _first_reading(model: keras.Model) -> keras.Model:
    """From image to logits, which make room for the mean that is called `LOGITS`."""
    logits = model.get_layer(LOGITS)
    logits.name = OWN_LOGITS if own_logits(model) is logits else "mean_over_poses"
    return keras.Model(model.input, logits.output)
