"""Models by name: what a spec's ``candidates[].model`` and ``weights`` may say."""

import importlib
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import SpecError, WeightsError

if TYPE_CHECKING:
    import keras

IMAGENET = "imagenet"
FAMILIES = {
    "efficientnet_lite0": "pipelines.models.efficientnet_lite0",
    "strided_cnn": "pipelines.models.strided_cnn",
}
"""Model → its module, which has ``build(size=, classes=, dropout=)`` and, where there are
ImageNet weights for it, ``load_imagenet(model)``."""


def build(
    name: str, *, size: int, classes: int, weights: str | None, dropout: float = 0.5
) -> "keras.Model":
    """Build a model of the zoo.

    Args:
        name: one of `FAMILIES`.
        size: side of the square input in pixels.
        classes: number of outputs.
        weights: ``imagenet``; the path of a model of the same family saved as ``.keras``,
            or of backbone weights saved by `save_backbone` (``.weights.h5``); or ``None`` for
            random ones. The head is always new.
        dropout: share of the hidden layer's outputs left out in training.

    Raises:
        SpecError: there is no such model.
        WeightsError: the weights cannot be had, or belong to another model.
    """
    if name not in FAMILIES:
        raise SpecError(f"There is no model {name!r}; the zoo has {', '.join(sorted(FAMILIES))}.")
    family = importlib.import_module(FAMILIES[name])
    model: keras.Model = family.build(size=size, classes=classes, dropout=dropout)
    if weights == IMAGENET:
        if not hasattr(family, "load_imagenet"):
            raise WeightsError(
                f"There are no ImageNet weights for {name!r}; set weights to null or a file."
            )
        family.load_imagenet(model)
    elif weights is not None:
        _load_backbone(model, Path(weights).expanduser())
    return model


def save_backbone(model: "keras.Model", path: Path) -> None:
    """Save the weights before the head, for `build` to begin from; ``path`` ends
    with ``.weights.h5``."""
    from pipelines.models.head import backbone

    backbone(model).save_weights(path)


def _load_backbone(model: "keras.Model", path: Path) -> None:
    if not path.is_file():
        raise WeightsError(f"There is no weights file {path}.")
    try:
        # Keras warns of weights that it leaves random; that is no loading.
        with warnings.catch_warnings(action="error", category=UserWarning):
            _read_backbone(model, path)
    except Exception as error:  # Keras raises whatever its readers do
        raise WeightsError(
            f"{path} does not fit {model.name}: {error} Expected a .keras file of this family "
            "or the .weights.h5 of its backbone."
        ) from error


def _read_backbone(model: "keras.Model", path: Path) -> None:
    import keras

    from pipelines.models.head import backbone

    if path.suffix == ".keras":
        saved = keras.saving.load_model(path, compile=False)
        backbone(model).set_weights(backbone(saved).get_weights())
    else:
        backbone(model).load_weights(path)
