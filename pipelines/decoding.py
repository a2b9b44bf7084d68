"""What decides pixels: the code that decodes an image and fits it to a model's input."""

from types import ModuleType

from pipelines.reached import reached

PACKAGE = "pipelines.imaging"


def pixel_modules() -> list[ModuleType]:
    """The modules from bytes to the pixels that a model sees, the crop to a lesion included."""
    return imaging_modules("decode", "fit", "lesion")


def imaging_modules(*names: str) -> list[ModuleType]:
    """The modules of `pipelines.imaging` with these names, and those that they use.

    The list of reasons for a refusal is not counted: its wording changes no result.
    """
    roots = (f"{PACKAGE}.{name}" for name in names)
    return reached(*roots, within=(PACKAGE,), without=(f"{PACKAGE}.reasons",))
