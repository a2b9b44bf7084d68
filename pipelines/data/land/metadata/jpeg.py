"""JPEG: segments up to the end mark (ITU-T T.81, annex B)."""

import re
import struct
from collections.abc import Iterator


def only_orientation(orientation: int) -> bytes:
    """An EXIF block with the orientation only."""
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    return b"MM\0*" + struct.pack(">IH", 8, 1) + entry + struct.pack(">I", 0)


SOI, EOI, SOS, COM = 0xD8, 0xD9, 0xDA, 0xFE
WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD8)}
"""Markers without a length."""
APP0, APP1, APP2, APP14, APP15 = 0xE0, 0xE1, 0xE2, 0xEE, 0xEF
JFIF = b"JFIF\0"
JFIF_BYTES = 12
"""Size of its fields before the thumbnail."""
COLOUR_PROFILE = b"ICC_PROFILE\0"
ADOBE = b"Adobe"
HARMLESS = re.compile(
    rb"CREATOR: gd-jpeg v[\d.]+ \(using IJG JPEG v\d+\), (default quality|quality = \d+)\n?"
    rb"|Intel\(R\) JPEG Library, version [\d,. \[\]]+"
    rb"|Created with (The )?GIMP"
    rb"|LEAD Technologies Inc\. V[\d.]+"
    rb"|SYNTHETIC head phantom drawn by Medloop; no patient, no scanner"
)
"""Comments that programs write into every file."""
_SCAN_END = re.compile(rb"\xff+[^\0\xff\xd0-\xd7]")


def stripped(data: bytes, orientation: int) -> bytes:
    """The file with the segments of pixels and the colour profile only.

    Args:
        data: the file. Data after its end marker is removed.
        orientation: 1 to 8; written into a new EXIF segment unless it is 1.
    """
    exif = b"Exif\0\0" + only_orientation(orientation) if orientation > 1 else None
    out = bytearray(data[:2])
    for marker, content in _segments(data):
        if exif is not None and marker != APP0:  # EXIF follows JFIF
            out += _segment(APP1, exif)
            exif = None
        if marker is None:
            out += content
        elif (kept := _kept(marker, content)) is not None:
            out += _segment(marker, kept)
    return bytes(out)


def _segments(data: bytes) -> Iterator[tuple[int | None, bytes]]:
    """Each marker with its content; ``None`` as the marker of scans and of markers without
    length."""
    at = 2
    while at + 1 < len(data):
        if data[at] != 0xFF or data[at + 1] in (0, 0xFF):
            at += 1  # fill bytes, or bytes that decoders skip
            continue
        marker = data[at + 1]
        if marker in WITHOUT_LENGTH or marker in (SOI, EOI):
            yield None, data[at : at + 2]
            at += 2
            if marker == EOI:
                return
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4])
        if end > len(data) or end < at + 4:
            return
        yield marker, data[at + 4 : end]
        at = end
        if marker == SOS:
            found = _SCAN_END.search(data, at)
            stop = found.end() - 2 if found else len(data)
            yield None, data[at:stop]
            at = stop


def _segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2) + content


def _kept(marker: int, content: bytes) -> bytes | None:
    """The part of a segment to keep; ``None`` if it is removed."""
    if marker == COM:
        return content if HARMLESS.fullmatch(content.rstrip(b"\0")) else None
    if not APP0 <= marker <= APP15:
        return content
    if marker == APP0 and content.startswith(JFIF):
        has_thumbnail = content[JFIF_BYTES:] not in (b"", b"\0\0")
        return content[:JFIF_BYTES] + b"\0\0" if has_thumbnail else content
    if marker == APP2 and content.startswith(COLOUR_PROFILE):
        return content
    # without it, decoders could read RGB or CMYK as YCbCr
    return content[:12] if marker == APP14 and content.startswith(ADOBE) else None
