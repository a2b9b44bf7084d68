"""What a file is, recognised from its content; its name is never asked."""

from typing import Literal

from pipelines.imaging.info import Format
from pipelines.imaging.reasons import refuse

DICOM_MARK = b"DICM"
MARK_END = 132
"""The mark follows a preamble of 128 bytes that may hold anything."""
SIGNATURES: tuple[tuple[bytes, Format], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),  # BigTIFF
    (b"MM\0+", "TIFF"),
)
BMP_HEADER_SIZES = (12, 40, 52, 56, 64, 108, 124)
FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"GIF8", "a GIF"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000"),
    (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "a ZIP archive or Office document"),
    (b"\x1f\x8b", "a gzip file (a compressed NIfTI, perhaps)"),
    (b"<", "HTML, XML or SVG"),
)
"""What people land by mistake, so that the message can name it."""
EARLY_GROUPS = (0x0000, 0x0002, 0x0004, 0x0008, 0x0010, 0x0018, 0x0020, 0x0028)
"""Groups that a DICOM file without preamble can begin with."""
VALUE_REPRESENTATIONS = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR "
    b"US UT UV".split()
)
LONG_LENGTH = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
UNDEFINED_LENGTH = 0xFFFFFFFF
Order = Literal["little", "big"]
ORDERS: tuple[Order, ...] = ("little", "big")


def sniff(data: bytes) -> Format:
    """The image format of ``data``.

    Raises:
        BadImage: ``unknown_format``.
    """
    # DICOM first: the 128 bytes before its mark are free, and some writers put a TIFF header there
    if data[128:MARK_END] == DICOM_MARK:
        return "DICOM"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    # two letters are no proof: a text can begin with them
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in BMP_HEADER_SIZES:
        return "BMP"
    for signature, name in SIGNATURES:
        if data.startswith(signature):
            return name
    if begins_like_dicom(data):
        return "DICOM"
    raise refuse(
        "unknown_format",
        f"This is {_describe(data)}; JPEG, PNG, TIFF, BMP, WebP and DICOM files are read.",
    )


def begins_like_dicom(data: bytes) -> bool:
    """Whether the bytes begin with a DICOM element, as files without preamble do.

    The first element must be one of an early group, and a second one with a higher tag must
    follow where the first says that it ends, or the file ends before.
    """
    for order in ORDERS:
        first = _element(data, 0, order)
        if first is None:
            continue
        tag, end = first
        if end is None or end >= len(data):
            return True
        second = _element(data, end, order)
        if second is not None and second[0] > tag:
            return True
    return False


def _element(data: bytes, at: int, order: Order) -> tuple[int, int | None] | None:
    """Tag of the element at a position, and where it ends (``None``: undefined length).

    Returns ``None`` where there is none.
    """
    if len(data) < at + 8:
        return (0xFFFFFFFF, None) if at else None
    group = int.from_bytes(data[at : at + 2], order)
    element = int.from_bytes(data[at + 2 : at + 4], order)
    if group not in EARLY_GROUPS and not at:
        return None
    representation = data[at + 4 : at + 6]
    start = at + 8
    if representation in LONG_LENGTH:
        length, start = int.from_bytes(data[at + 8 : at + 12], order), at + 12
    elif representation in VALUE_REPRESENTATIONS:
        length = int.from_bytes(data[at + 6 : at + 8], order)
    else:
        length = int.from_bytes(data[at + 4 : at + 8], order)
    tag = group << 16 | element
    if length == UNDEFINED_LENGTH:
        return tag, None
    # a value that is longer than the file is no proof, unless the tag itself is typical
    if start + length > len(data) and not (group in (0x0002, 0x0008) and element <= 0x0018):
        return None
    return tag, start + length


def _describe(data: bytes) -> str:
    for signature, name in FOREIGN:
        if data.startswith(signature):
            return name
    if data[4:8] == b"ftyp":
        return "a HEIC, AVIF or video file"
    if data[344:348] in (b"n+1\0", b"ni1\0"):
        return "a NIfTI volume"
    begin = data[:64]
    printable = begin.isascii() and begin.decode().translate({9: 32, 10: 32, 13: 32}).isprintable()
    return "text" if printable else "not in a known format"
