"""Why a file is refused: stable codes, each with what it means to a person."""

from typing import Literal

from pipelines.errors import BadImage

Reason = Literal[
    "empty",
    "unknown_format",
    "truncated",
    "corrupt",
    "too_large",
    "too_small",
    "multi_frame",
    "no_pixels",
    "unsupported",
    "blank",
]

REASONS: dict[Reason, str] = {
    "empty": "The file holds no bytes.",
    "unknown_format": "The content is none of the image formats that are read.",
    "truncated": "The file ends before its picture does.",
    "corrupt": "The file contradicts its own format.",
    "too_large": "The file or its picture is larger than the limit.",
    "too_small": "The picture has a side shorter than the limit.",
    "multi_frame": "The file holds several frames, and none of them is the picture.",
    "no_pixels": "The DICOM file is no image (a report, a plan, a document).",
    "unsupported": "The format is read, but not this variant of it.",
    "blank": "The picture shows nothing: it is one shade all over.",
}


def refuse(reason: Reason, message: str) -> BadImage:
    """The error to raise for ``reason``; only codes that are listed above can be said."""
    return BadImage(reason, message)
