"""The version of the code that builds one family's models."""

from types import ModuleType

from pipelines.models.families import FAMILIES
from pipelines.reached import reached

PACKAGE = "pipelines.models"
NO_INFLUENCE = (
    __name__,
    f"{PACKAGE}.families",
    f"{PACKAGE}.identity",
    f"{PACKAGE}.imagenet",
)
"""Modules that change no model: the list of families, the identity of weights, and whether the
weights of ImageNet are here. So a new family leaves the others as they are."""


def family_modules(model: str) -> list[ModuleType]:
    """The modules that decide a family's models and their first weights.

    An unknown family has none of its own: `registry.build` refuses it.
    """
    family = [FAMILIES[model]] if model in FAMILIES else []
    return reached(f"{PACKAGE}.registry", *family, within=(PACKAGE,), without=NO_INFLUENCE)
