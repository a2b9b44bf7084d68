"""Removes metadata from image files without encoding the pixels again.

Image files may contain location and time, names, serial numbers of cameras, comments and thumbnails
of the uncropped image. An allow-list for each format keeps the pixels, their orientation, the
colour profile and the resolution. Everything else is removed, also data after the end of the image.
A file without metadata stays the same, byte for byte.
"""

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipelines import imaging
from pipelines.data.land.metadata import containers, jpeg, tiff
from pipelines.errors import BadImage
from pipelines.imaging import Limits
from pipelines.imaging.reasons import refuse

MODULES = (containers, jpeg, tiff)
ORIENTATION = 0x0112
UPRIGHT = 1

_STRIP: dict[str, Callable[[bytes, int], bytes]] = {
    "JPEG": jpeg.stripped,
    "PNG": containers.stripped_png,
    "WEBP": containers.stripped_webp,
}


def stripped(data: bytes) -> bytes:
    """The file without its metadata; ``data`` itself if it has none.

    Args:
        data: a JPEG, PNG, TIFF, BMP or WebP file. Other files are returned as they are; damaged
            ones may keep metadata, but are not images and are never stored.

    Raises:
        BadImage: ``unsupported``: the structure of a TIFF or BMP file is not supported.
    """
    try:
        format = imaging.sniff(data)
    except BadImage:
        return data
    if format == "TIFF":
        found = tiff.stripped(data)
    elif format == "BMP":
        found = containers.stripped_bmp(data)
    elif format in _STRIP:
        found = _STRIP[format](data, UPRIGHT)
        if found != data:
            found = _STRIP[format](data, _orientation(data, format))
    else:
        return data
    return data if found == data else found


def require_same_pixels(shown: NDArray[np.uint8], after: bytes, *, limits: Limits) -> None:
    """Require that a file without metadata has the same pixels as before.

    Args:
        shown: uint8 (height, width, 3), pixels of the landed file.
        after: result of `stripped`.
        limits: limits of size and pixels.

    Raises:
        BadImage: ``unsupported``: the pixels differ, so the metadata cannot be removed.
    """
    try:
        same = np.array_equal(shown, imaging.decode(after, limits=limits))
    except BadImage:
        same = False
    if not same:
        raise refuse(
            "unsupported",
            "The file's metadata, which may identify a patient, cannot be removed without changing "
            "its pixels. Save it again as PNG, or as JPEG without metadata.",
        )


def _orientation(data: bytes, format: str) -> int:
    """EXIF orientation, 1 to 8, from EXIF or XMP."""
    try:
        found = Image.open(io.BytesIO(data), formats=(format,)).getexif().get(ORIENTATION, UPRIGHT)
    except Exception:  # libraries do not document which errors broken files raise
        return UPRIGHT
    return found if isinstance(found, int) and 1 <= found <= 8 else UPRIGHT
