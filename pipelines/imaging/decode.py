"""Any accepted file to pixels: content is sniffed, limits are checked, then pixels decoded."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from pipelines.errors import BadImage
from pipelines.imaging.info import DEFAULT, Format, ImageInfo, Limits
from pipelines.imaging.reasons import refuse
from pipelines.imaging.sniff import sniff

CUT_OFF = ("truncated", "end of file", "less than expected")
"""How Pillow and pydicom say that a file is too short."""


def inspect(data: bytes, *, limits: Limits = DEFAULT) -> ImageInfo:
    """Tell what a file holds from its header, without decoding pixels.

    Raises:
        BadImage: the bytes are none, too many, of no known format, or the header is broken.
    """
    limits.check_bytes(data)
    format = sniff(data)
    try:
        return _reader(format).inspect(data, format)
    except Exception as error:
        raise _refusal(error, format) from error


def decode(data: bytes, *, limits: Limits = DEFAULT) -> NDArray[np.uint8]:
    """Decode a picture as a viewer shows it.

    EXIF orientation is applied, transparency laid on black, palettes and CMYK made RGB, grey
    repeated on three channels; embedded colour profiles are not applied. Grey pictures of more
    than 8 bits are scaled by their own range (`depth.own_range`), colour ones keep their upper
    8 bits. DICOM is shown as `dicom` says.

    Args:
        data: a whole JPEG, PNG, TIFF, BMP, WebP or DICOM file.
        limits: size in bytes and pixels, checked before pixels are decoded.

    Returns:
        uint8 (height, width, 3), RGB, C-contiguous, the caller's own.

    Raises:
        BadImage: with one of `REASONS`; nothing else is ever raised for any bytes.
    """
    info = inspect(data, limits=limits)
    limits.check_size(info.width, info.height)
    try:
        return np.array(_reader(info.format).pixels(data, info), order="C")
    except Exception as error:
        raise _refusal(error, info.format) from error


class Reader(Protocol):
    """What a module that reads formats has."""

    def inspect(self, data: bytes, format: Format) -> ImageInfo:
        """What the header says."""

    def pixels(self, data: bytes, info: ImageInfo) -> NDArray[np.uint8]:
        """The picture, uint8 (height, width, 3)."""


def _reader(format: Format) -> Reader:
    if format == "DICOM":
        from pipelines.imaging import dicom  # pydicom takes 0.7 s to import, and few need it

        return dicom
    from pipelines.imaging import raster

    return raster


def _refusal(error: Exception, format: Format) -> BadImage:
    """Say a library's error in our words; image libraries promise no type for broken files."""
    if isinstance(error, BadImage):
        return error
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return refuse("too_large", f"The {format} declares too many pixels: {error}")
    if isinstance(error, UnidentifiedImageError):
        return refuse("corrupt", f"The {format} file has a broken header.")
    # a DICOM library's words can quote what stands in the file, a patient's name among it
    words = "" if format == "DICOM" else f": {error}"
    if isinstance(error, EOFError) or any(sign in str(error).lower() for sign in CUT_OFF):
        return refuse("truncated", f"The {format} file is cut off{words}")
    kind = type(error).__name__
    return refuse("corrupt", f"The {format} file cannot be decoded ({kind}){words}")
