"""The version of the code that computes one kind of features."""

from typing import Literal

from pipelines.models.code import family_modules
from pipelines.reached import reached
from pipelines.stage import code_version

Kind = Literal["deep", "texture", "pixels"]

NUMBERS: dict[Kind, str] = {
    "deep": "pipelines.features.network",
    "texture": "pipelines.features.texture",
    "pixels": "pipelines.features.small",
}
"""Kind → the module that computes its numbers."""


def other_kinds(kind: Kind) -> set[str]:
    """The modules that compute the numbers of other kinds."""
    return set(NUMBERS.values()) - {NUMBERS[kind]}


def features_code(kind: Kind, model: str | None = None) -> str:
    """Version of the code that computes features.

    Args:
        kind: which numbers.
        model: family of the backbone, for ``deep``.
    """
    ours = reached(
        "pipelines.features.worker",
        within=("pipelines.features",),
        without=(__name__, *other_kinds(kind)),
    )
    return code_version(*ours, *(family_modules(model) if model else ()))
