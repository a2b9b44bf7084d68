"""What decides pixels: the code and the libraries that decode an image and fit it to a model."""

from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

from PIL import features

from pipelines.reached import reached
from pipelines.stage import code_version, fingerprint

PACKAGE = "pipelines.imaging"
LIBRARIES = {
    "cv2": "opencv-python-headless",
    "jpeg_ls": "pyjpegls",
    "numpy": "numpy",
    "PIL": "pillow",
    "pydicom": "pydicom",
    "simplejpeg": "simplejpeg",
}
"""Module that `pipelines.imaging` imports → its distribution."""
FINDER = {"openvino": "openvino"}
"""The same, only where images are cropped to a lesion."""
CODECS = ("libjpeg_turbo", "jpg_2000", "zlib", "libtiff", "webp")
"""Of Pillow, as `PIL.features` names them: a system's own build may bring others."""


def decoding_versions(*, finder: bool = False) -> dict[str, str]:
    """Library → version, of all libraries that decide a pixel.

    Args:
        finder: whether images are cropped to a lesion.
    """
    names = [*LIBRARIES.values(), *(FINDER.values() if finder else ())]
    of_pillow = {f"pillow:{name}": features.version(name) or "none" for name in CODECS}
    return {name: _installed(name) for name in names} | of_pillow


def pixel_version(*, finder: bool = False) -> str:
    """Version of everything between the bytes of a file and the pixels that a model sees."""
    return fingerprint(code_version(*pixel_modules()), decoding_versions(finder=finder))


def pixel_modules() -> list[ModuleType]:
    """The modules from bytes to the pixels that a model sees, the crop to a lesion included."""
    return imaging_modules("decode", "fit", "lesion")


def imaging_modules(*names: str) -> list[ModuleType]:
    """The modules of `pipelines.imaging` with these names, and those that they use.

    The list of reasons for a refusal is not counted: its wording changes no result.
    """
    roots = (f"{PACKAGE}.{name}" for name in names)
    return reached(*roots, within=(PACKAGE,), without=(f"{PACKAGE}.reasons",))


@lru_cache(maxsize=32)
def _installed(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "none"
