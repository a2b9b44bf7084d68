"""Models by name: what a spec's ``candidates[].model``, ``options`` and ``weights`` may say."""

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, ValidationError, validate_call

from pipelines.errors import SpecError
from pipelines.models.families import FAMILIES

if TYPE_CHECKING:
    import keras


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
        name: one of `pipelines.models.families.FAMILIES`.
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
