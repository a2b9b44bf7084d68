"""What a file's header says of its picture, and how much of it is accepted."""

from dataclasses import dataclass, field
from typing import Literal

from pipelines.imaging.reasons import refuse

Format = Literal["JPEG", "PNG", "TIFF", "BMP", "WEBP", "DICOM"]


FrameRule = Literal["single", "first", "middle", "key"]
"""Which frame of a DICOM file with several is its image: none (``single``: such files are
refused), the first, the middle one (frame ``n // 2`` of ``n``, from 0), or the one that
RepresentativeFrameNumber names."""


@dataclass(frozen=True)
class ImageInfo:
    """A picture as its file describes it, before any pixel is decoded."""

    format: Format
    width: int
    """In pixels, as it is looked at: after the EXIF orientation is applied."""
    height: int
    mode: str
    """Kind of pixel in the file's own words: ``L``, ``RGB``, ``I;16``, ``MONOCHROME1`` …"""
    channels: int
    bits: int
    """Bits of one channel's values that are in use."""
    frames: int = 1
    notes: list[str] = field(default_factory=list)
    """What a person should know of how the picture is read."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What is refused before it is decoded."""

    max_bytes: int = 64 * 1024 * 1024
    max_pixels: int = 50_000_000
    """Width times height. Beyond 178 million Pillow's own limit holds."""
    min_side: int = 32
    frames: FrameRule = "single"

    def check_bytes(self, data: bytes) -> None:
        """Raises BadImage: there are no bytes, or too many."""
        if not data:
            raise refuse("empty", "The file is empty.")
        if len(data) > self.max_bytes:
            raise refuse(
                "too_large",
                f"The file has {len(data) / 2**20:.1f} MB; the limit is "
                f"{self.max_bytes / 2**20:g} MB.",
            )

    def check_size(self, width: int, height: int) -> None:
        """Raises BadImage: there are too many pixels, or too few on a side."""
        if width * height > self.max_pixels:
            raise refuse(
                "too_large",
                f"The picture is {width} x {height} pixels, {width * height / 1e6:.1f} million; "
                f"the limit is {self.max_pixels / 1e6:g} million.",
            )
        if min(width, height) < self.min_side:
            raise refuse(
                "too_small",
                f"The picture is {width} x {height} pixels; each side needs {self.min_side}.",
            )


DEFAULT = Limits()
