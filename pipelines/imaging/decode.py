"""Any accepted file to pixels: content is sniffed, limits are checked, then pixels decoded."""

import logging
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from pipelines.errors import BadImage
from pipelines.failures import frames_of
from pipelines.imaging.info import DEFAULT, Format, ImageInfo, Limits
from pipelines.imaging.reasons import refuse
from pipelines.imaging.sniff import sniff

CUT_OFF = ("truncated", "end of file", "less than expected", "premature", "stream too short")
"""How libraries say that a file is too short."""
NOT_READ = ("unsupported", "not supported", "cannot handle", "not implemented")
_log = logging.getLogger(__name__)


def inspect(data: bytes, *, limits: Limits = DEFAULT) -> ImageInfo:
    """Tell what a file holds from its header, without decoding pixels.

    Raises:
        BadImage: the bytes are none, too many, of no known format, or the header is broken.
    """
    limits.check_bytes(data)
    format = sniff(data)
    try:
        return reader(format).inspect(data, format)
    except Exception as error:
        raise refusal(error, format) from error


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
        return np.array(reader(info.format).pixels(data, info, limits), order="C")
    except Exception as error:
        raise refusal(error, info.format) from error


class Reader(Protocol):
    """What a module that reads formats has."""

    def inspect(self, data: bytes, format: Format) -> ImageInfo:
        """What the header says."""

    def pixels(self, data: bytes, info: ImageInfo, limits: Limits) -> NDArray[np.uint8]:
        """The picture, uint8 (height, width, 3)."""


def reader(format: Format) -> Reader:
    """The module that reads a format."""
    if format == "DICOM":
        from pipelines.imaging import dicom  # pydicom takes 0.7 s to import, and few need it

        return dicom
    from pipelines.imaging import raster

    return raster


def refusal(error: Exception, format: Format) -> BadImage:
    """Say a library's error in our words; image libraries promise no type for broken files.

    The traceback is logged without the library's words: these can quote what the file holds, a
    patient's name among it.
    """
    if isinstance(error, BadImage):
        return error
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return refuse("too_large", f"The {format} declares too many pixels: {error}")
    if isinstance(error, UnidentifiedImageError):
        return refuse("corrupt", f"The {format} file has a broken header.")
    if isinstance(error, MemoryError):
        return refuse("too_large", f"The {format} file needs more memory than there is.")
    if any(sign in str(error).lower() for sign in NOT_READ) and format != "DICOM":
        return refuse("unsupported", f"This kind of {format} is not read: {error}.")
    if isinstance(error, EOFError) or any(sign in str(error).lower() for sign in CUT_OFF):
        return refuse("truncated", f"The {format} file is cut off.")
    if isinstance(error, OSError | SyntaxError | ValueError) and format != "DICOM":
        return refuse("corrupt", f"The {format} file cannot be decoded: {error}.")
    _log.error("A %s file was refused after an unexpected error:\n%s", format, frames_of(error))
    return refuse(
        "corrupt",
        f"The {format} file contradicts its own format. Check that a viewer opens it, and export "
        "it again. Where it failed is in the log.",
    )
