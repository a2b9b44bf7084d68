"""Whether a file is proven to be a plain image, and so names nobody but by its metadata."""

from typing import Literal

from pipelines.errors import BadImage
from pipelines.imaging.decode import reader, refusal
from pipelines.imaging.sniff import sniff

Kind = Literal["plain", "dicom", "unproven"]


def kind_of(data: bytes) -> Kind:
    """What a file may be treated as, by its content alone.

    Args:
        data: the whole file.

    Returns:
        ``plain``: a JPEG, PNG, TIFF, BMP or WebP whose header was read, though perhaps of a
        variant that is not decoded. ``dicom``: DICOM, with or without a preamble. ``unproven``:
        anything else; it may hold a patient's name (a ZIP of DICOM, a report), and so may its own
        name.
    """
    try:
        format = sniff(data)
    except BadImage:
        return "unproven"
    if format == "DICOM":
        return "dicom"
    try:
        reader(format).inspect(data, format)
    except Exception as error:
        return "plain" if refusal(error, format).reason == "unsupported" else "unproven"
    return "plain"
