"""Removing what an image file says besides its pixels, without encoding the pixels again.

Photographs carry the place and time they were taken, names, serial numbers of cameras, comments
and thumbnails of the uncropped image. An allow-list decides, format by format, what stays: what
the pixels are drawn from, their orientation, the colour profile and the resolution. Everything
else goes, data behind the end of the image included. A file that has nothing else stays the same,
byte for byte.
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
    """The file without its metadata; ``data`` itself if there is nothing to remove.

    Args:
        data: a JPEG, PNG, TIFF, BMP or WebP file; anything else, and a damaged one, is returned
            with what can be removed removed: it is no image, and nobody keeps it.

    Raises:
        BadImage: ``unsupported``: it is a TIFF or BMP of a structure that is not understood.
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
    """Make sure that a stripped file shows what it showed before.

    Args:
        shown: uint8 (height, width, 3), what the file showed as it landed.
        after: what `stripped` made of it.
        limits: beyond which it is not decoded.

    Raises:
        BadImage: ``unsupported``: it does not, so its metadata cannot be removed this way.
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
    """How the image is turned when it is shown, 1 to 8, as its decoder finds it: in EXIF or XMP."""
    try:
        found = Image.open(io.BytesIO(data), formats=(format,)).getexif().get(ORIENTATION, UPRIGHT)
    except Exception:  # libraries promise no type for broken files
        return UPRIGHT
    return found if isinstance(found, int) and 1 <= found <= 8 else UPRIGHT
