"""What a file is, told by its first bytes; its name is never asked."""

from pipelines.imaging.info import Format
from pipelines.imaging.reasons import refuse

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


def sniff(data: bytes) -> Format:
    """The image format of ``data``.

    Raises:
        BadImage: ``unknown_format``.
    """
    # DICOM first: the 128 bytes before its mark are free, and some writers put a TIFF header there
    if data[128:132] == b"DICM":
        return "DICOM"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    # two letters are no proof: a text can begin with them
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in BMP_HEADER_SIZES:
        return "BMP"
    for signature, name in SIGNATURES:
        if data.startswith(signature):
            return name
    raise refuse(
        "unknown_format",
        f"This is {_describe(data)}; JPEG, PNG, TIFF, BMP, WebP and DICOM files are read.",
    )


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
    return "text" if printable else "no known format"
