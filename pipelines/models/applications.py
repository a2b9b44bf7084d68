"""Backbones of ``keras.applications``: how they are joined to a model, and get their weights."""

from collections.abc import Callable, Mapping
from pathlib import Path

import keras

from pipelines.models.head import FEATURES
from pipelines.models.imagenet import IMAGENET, not_downloaded, require_imagenet

Application = Callable[..., keras.Model]


def backbone_on(pixels: keras.KerasTensor, application: Application) -> keras.Model:
    """A backbone with random weights behind ``pixels``, prepared as its authors did."""
    return application(include_top=False, weights=None, input_tensor=pixels)


def named_features(feature_map: keras.KerasTensor) -> keras.KerasTensor:
    """The last feature map by the name that it has here."""
    return keras.layers.Identity(name=FEATURES)(feature_map)


def pretrained(model: str, application: Application, file: Path | None) -> keras.Model:
    """A backbone with its ImageNet weights.

    Args:
        model: the family's name.
        application: what builds the backbone.
        file: a file as Keras publishes it; downloaded, or found where Keras keeps it, if ``None``.

    Raises:
        WeightsUnavailable: they are not on this machine, and cannot be downloaded.
    """
    if file is not None:
        return application(include_top=False, weights=str(file))
    require_imagenet(model)
    try:
        return application(include_top=False, weights=IMAGENET)
    except Exception as error:  # whatever a download may end with
        raise not_downloaded(model, error) from error


def copy_weights(
    application: keras.Model, model: keras.Model, names: Mapping[str, str] | None = None
) -> None:
    """Give a model's layers the weights of a backbone's.

    Args:
        application: the backbone, with weights.
        model: has a layer for each of its layers with weights.
        names: name in the backbone → name in the model, where they differ.
    """
    for layer in application.layers:
        if layer.weights:
            name = (names or {}).get(layer.name, layer.name)
            model.get_layer(name).set_weights(layer.get_weights())
