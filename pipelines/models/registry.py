"""Models by name: what a spec's ``candidates[].model``, ``options`` and ``weights`` may say."""

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, ValidationError, validate_call

from pipelines.errors import SpecError

if TYPE_CHECKING:
    import keras

FAMILIES = {
    "densenet121": "pipelines.models.densenet121",
    "efficientnet_lite0": "pipelines.models.efficientnet_lite0",
    "inception_v3": "pipelines.models.inception_v3",
    "resnet50": "pipelines.models.resnet50",
    "separable_cnn": "pipelines.models.separable_cnn",
    "small_cnn": "pipelines.models.small_cnn",
    "strided_cnn": "pipelines.models.strided_cnn",
}
"""Model → its module. It has ``build(image, *, classes, ...)``, which leads from pixels, float32
(batch, size, size, 3), to probabilities and whose further arguments are the model's options;
``INPUT_SIZE`` where the model has a size of its own; and, where `imagenet` knows of weights,
``load_imagenet(model)``."""


def build(
    name: str,
    *,
    size: int,
    classes: int,
    weights: str | None,
    input_size: int | None = None,
    dropout: float | None = None,
    options: Mapping[str, Any] | None = None,
) -> "keras.Model":
    """Build a model of the zoo.

    Args:
        name: one of `FAMILIES`.
        size: side of the square input in pixels.
        classes: number of outputs.
        weights: see `pipelines.models.weights.load_weights`. The head is always new.
        input_size: side to which the model's first layer resizes its input; the family's own,
            or ``size``, if ``None``.
        dropout: share of the head's hidden outputs left out in training; the family's own if
            ``None``.
        options: further arguments of the family's ``build``.

    Raises:
        SpecError: there is no such model, or it has no such option.
        WeightsError: the weights cannot be had, or belong to another model.
    """
    import keras

    from pipelines.models.head import image_input
    from pipelines.models.weights import load_weights

    if name not in FAMILIES:
        raise SpecError(f"There is no model {name!r}; the zoo has {', '.join(sorted(FAMILIES))}.")
    family = importlib.import_module(FAMILIES[name])
    image = pixels = image_input(size)
    side = input_size or getattr(family, "INPUT_SIZE", size)
    if side != size:
        pixels = keras.layers.Resizing(side, side, name="resizing")(image, training=False)
    chosen = dict(options or {}) | ({} if dropout is None else {"dropout": dropout})
    call = validate_call(config=ConfigDict(arbitrary_types_allowed=True))(family.build)
    try:
        probabilities = call(pixels, classes=classes, **chosen)
    except ValidationError as error:
        raise SpecError(_refusal(name, error)) from error
    model = keras.Model(image, probabilities, name=name)
    load_weights(model, family, weights)
    return model


def _refusal(name: str, error: ValidationError) -> str:
    first = error.errors()[0]
    option = ".".join(str(part) for part in first["loc"])
    if first["type"] == "unexpected_keyword_argument":
        return f"Model {name!r} has no option {option!r}; take it out of the candidate."
    return f"Model {name!r}: option {option} is {first['input']!r}: {first['msg']}."
