"""PNG: chunks up to IEND (PNG specification, third edition)."""

import zlib

from pipelines.data.land.metadata.exif import only_orientation

SIGNATURE_BYTES = 8
KEPT = {
    *(b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS"),
    *(b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"mDCV", b"cLLI"),
    *(b"bKGD", b"hIST", b"pHYs"),
    *(b"acTL", b"fcTL", b"fdAT"),
}
HARMLESS = (b"Comment\0SYNTHETIC head phantom drawn by Medloop; no patient, no scanner",)
"""Texts of our own."""


def stripped(data: bytes, orientation: int) -> bytes:
    """The file with the chunks that pixels are drawn from, colours and resolution.

    Args:
        data: the file. What is behind its last chunk goes.
        orientation: 1 to 8; noted in an EXIF chunk of its own unless it is 1.
    """
    out = bytearray(data[:SIGNATURE_BYTES])
    at = SIGNATURE_BYTES
    while at + 8 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        end = at + 12 + length
        is_text_of_ours = kind == b"tEXt" and data[at + 8 : end - 4] in HARMLESS
        if kind in KEPT or is_text_of_ours:
            out += data[at:end]
        if kind == b"IHDR" and orientation > 1:
            out += _chunk(b"eXIf", only_orientation(orientation))
        if kind == b"IEND":
            break
        at = end
    return bytes(out)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4) + kind + content + zlib.crc32(kind + content).to_bytes(4)
