"""Pretrained weights: from ImageNet, from a published file, or from a model of our own."""

import warnings
from pathlib import Path
from types import ModuleType

import keras

from pipelines.errors import WeightsError
from pipelines.models.head import backbone
from pipelines.models.imagenet import IMAGENET, require_imagenet


def load_weights(model: keras.Model, family: ModuleType, weights: str | None) -> None:
    """Give a model's backbone its pretrained weights.

    Args:
        model: as the family builds it.
        family: its module.
        weights: ``imagenet``; the path of a file of ImageNet weights as Keras publishes them
            (``..._notop.h5``), of a model of the same family saved as ``.keras``, or of backbone
            weights of its backbone alone (``.weights.h5``); ``None`` for random ones.

    Raises:
        WeightsUnavailable: ImageNet weights cannot be had here.
        WeightsError: there is no such file, or it belongs to another model.
    """
    if weights is None:
        return
    if weights == IMAGENET:
        require_imagenet(model.name)
        family.load_imagenet(model)
        return
    path = Path(weights).expanduser()
    if not path.is_file():
        raise WeightsError(f"There is no weights file {path}.")
    try:
        # Keras warns of weights that it leaves random; that is no loading.
        with warnings.catch_warnings(action="error", category=UserWarning):
            _read_backbone(model, family, path)
    except Exception as error:  # Keras raises whatever its readers do
        raise WeightsError(
            f"{path} does not fit {model.name}: {error} Expected a .keras file of this family, "
            "the .weights.h5 of its backbone, or the file that Keras publishes for it."
        ) from error


def _read_backbone(model: keras.Model, family: ModuleType, path: Path) -> None:
    if path.suffix == ".keras":
        saved = keras.saving.load_model(path, compile=False)
        backbone(model).set_weights(backbone(saved).get_weights())
    elif path.name.endswith(".weights.h5"):
        backbone(model).load_weights(path)
    else:
        family.load_imagenet(model, path)
