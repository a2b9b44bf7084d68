"""The markers of a JPEG stream (ITU-T T.81; JPEG-LS: T.87): what it is, and whether it is whole."""

from collections.abc import Iterator
from typing import NamedTuple

import simplejpeg

from pipelines.imaging.reasons import refuse

END, SCAN = 0xD9, 0xDA
APP0, APP8, APP14, COMMENT = 0xE0, 0xE8, 0xEE, 0xFE
STANDALONE = (0x01, *range(0xD0, 0xD9))
"""Markers without a length: TEM, the restart markers and the start of the image."""
BASELINE, EXTENDED, PROGRESSIVE, LOSSLESS, JPEG_LS = 0xC0, 0xC1, 0xC2, 0xC3, 0xF7
FRAMES = {
    BASELINE: "baseline",
    EXTENDED: "extended",
    PROGRESSIVE: "progressive",
    LOSSLESS: "lossless (SOF3)",
    0xC5: "differential (SOF5)",
    0xC6: "differential progressive (SOF6)",
    0xC7: "differential lossless (SOF7)",
    0xC9: "arithmetic-coded (SOF9)",
    0xCA: "arithmetic-coded progressive (SOF10)",
    0xCB: "arithmetic-coded lossless (SOF11)",
    0xCD: "arithmetic-coded differential (SOF13)",
    0xCE: "arithmetic-coded differential progressive (SOF14)",
    0xCF: "arithmetic-coded differential lossless (SOF15)",
    JPEG_LS: "JPEG-LS",
}
HUFFMAN = (BASELINE, EXTENDED, PROGRESSIVE)
COEFFICIENTS = 64
SHOWN_APPLICATIONS = {APP0: (b"JFIF\0",), APP8: (b"mrfx", b"SPIFF\0"), APP14: (b"Adobe",)}
"""The application segments that say how samples become colours; others may name a patient."""
INCOMPLETE = ("premature end", "bad huffman code", "instead of rst", "bogus marker length")
"""What libjpeg says where it makes pixels up. Its other warnings are about harmless oddities."""


class Segment(NamedTuple):
    """A marker segment; ``content`` is without marker and length."""

    marker: int
    start: int
    """Where its marker begins."""
    content: bytes


class Frame(NamedTuple):
    """What the frame header (SOF) says."""

    marker: int
    precision: int
    height: int
    width: int
    components: tuple[tuple[int, int, int, int], ...]
    """Identifier, horizontal and vertical sampling factor, quantisation table."""

    @property
    def name(self) -> str:
        return FRAMES[self.marker]


def segments(data: bytes) -> Iterator[Segment]:
    """The segments of a JPEG up to its end mark; entropy-coded bytes are passed over.

    Ends silently where the bytes do.
    """
    at = 0
    while True:
        at = data.find(b"\xff", at)
        while at >= 0 and data[at + 1 : at + 2] == b"\xff":
            at += 1
        if at < 0 or at + 1 >= len(data):
            return
        marker = data[at + 1]
        if marker == 0 or (marker < 0xC0 and marker != 1) or marker in STANDALONE:
            at += 2
            continue
        if marker == END:
            yield Segment(marker, at, b"")
            return
        length = int.from_bytes(data[at + 2 : at + 4])
        if length < 2 or at + 2 + length > len(data):
            return
        yield Segment(marker, at, data[at + 4 : at + 2 + length])
        at += 2 + length


def frame_of(data: bytes) -> Frame:
    """The frame header of a JPEG.

    Raises:
        BadImage: there is none (``corrupt``).
    """
    for marker, _, content in segments(data):
        if marker in FRAMES and len(content) >= 6:
            count = content[5]
            components = tuple(
                (content[at], content[at + 1] >> 4, content[at + 1] & 15, content[at + 2])
                for at in range(6, min(6 + 3 * count, len(content) - 2), 3)
            )
            height, width = int.from_bytes(content[1:3]), int.from_bytes(content[3:5])
            if len(components) == count:
                return Frame(marker, content[0], height, width, components)
        if marker == SCAN:
            break
    raise refuse("corrupt", "The JPEG has no readable frame header (SOF).")


def require_complete(data: bytes, frame: Frame) -> None:
    """Refuse a Huffman-coded JPEG whose pixels are not all in it.

    libjpeg draws what is missing in mid-grey and only warns; here its warnings are asked for, by
    decoding at an eighth of the size. What lies behind the end mark does not count.

    Args:
        data: the file.
        frame: its frame header, baseline, extended or progressive.

    Raises:
        BadImage: ``truncated``.
    """
    _require_every_scan(data, frame)
    try:
        simplejpeg.decode_jpeg(data, "GRAY", min_height=1, min_width=1, min_factor=8)
    except ValueError as error:
        if any(words in str(error).lower() for words in INCOMPLETE):
            raise refuse(
                "truncated", "The JPEG's pixels are incomplete: it was cut off, or bytes are wrong."
            ) from error


def _require_every_scan(data: bytes, frame: Frame) -> None:
    """Every coefficient of every component must have come, to its last bit (T.81, G.1.1.1)."""
    missing = {component[0]: set(range(COEFFICIENTS)) for component in frame.components}
    ended = False
    for marker, _, content in segments(data):
        ended = marker == END
        if marker == SCAN and len(content) >= 4 and len(content) >= 4 + 2 * content[0]:
            count = content[0]
            first, last, bits = content[1 + 2 * count : 4 + 2 * count]
            if frame.marker != PROGRESSIVE:
                first, last, bits = 0, COEFFICIENTS - 1, 0
            if bits & 15 == 0:
                for at in range(count):
                    missing.get(content[1 + 2 * at], set()).difference_update(
                        range(first, last + 1)
                    )
    if not ended:
        raise refuse("truncated", "The JPEG has no end mark: it was cut off.")
    if any(missing.values()):
        raise refuse("truncated", "The JPEG lacks some of its scans: it was cut off.")


def is_rgb(data: bytes, frame: Frame, *, declared_rgb: bool) -> bool:
    """Whether three components are red, green and blue, not luminance and chrominance.

    By libjpeg's rule: JFIF means YCbCr, then Adobe's marker decides, then the components' names.
    Where all of these are silent, the DICOM header does.
    """
    for marker, _, content in segments(data):
        if marker == APP0 and content.startswith(b"JFIF\0"):
            return False
        if marker == SCAN:
            break
    for marker, _, content in segments(data):
        if marker == APP14 and content.startswith(b"Adobe") and len(content) >= 12:
            return content[11] == 0
        if marker == SCAN:
            break
    names = bytes(component[0] for component in frame.components)
    return names == b"RGB" or declared_rgb


def without_metadata(data: bytes) -> bytes:
    """A JPEG or JPEG-LS without comments and application segments that colours do not need.

    These can hold a patient's name or a thumbnail. What lies behind the end mark goes as well.
    The pixels are the same.
    """
    kept: list[bytes] = []
    at = 0
    for marker, start, content in segments(data):
        if marker == END:
            return b"".join([*kept, data[at : start + 2]])
        allowed = SHOWN_APPLICATIONS.get(marker)
        private = marker == COMMENT or 0xE0 <= marker <= 0xEF
        if private and not (allowed and content.startswith(allowed)):
            kept.append(data[at:start])
            at = start + 4 + len(content)
    return b"".join([*kept, data[at:]])
