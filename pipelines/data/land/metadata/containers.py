"""PNG, WebP and BMP: chunks and headers without metadata.

PNG: chunks up to IEND (PNG specification, third edition). WebP: chunks of a RIFF container (RFC
9649). BMP has no metadata, but unused bytes between header and pixels, and after the pixels.
"""

import zlib

from pipelines.data.land.metadata.jpeg import only_orientation
from pipelines.imaging.reasons import refuse

PNG_SIGNATURE_BYTES = 8
PNG_CHUNKS = {
    *(b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS"),
    *(b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"mDCV", b"cLLI"),
    *(b"bKGD", b"hIST", b"pHYs"),
    *(b"acTL", b"fcTL", b"fdAT"),
}
PNG_COMMENTS = (b"Comment\0SYNTHETIC head phantom drawn by Medloop; no patient, no scanner",)
"""Comments that Medloop writes into its phantoms."""


def stripped_png(data: bytes, orientation: int) -> bytes:
    """The file with the chunks of pixels, colours and resolution only.

    Args:
        data: the file. Data after its last chunk is removed.
        orientation: 1 to 8; written into a new EXIF chunk unless it is 1.
    """
    out = bytearray(data[:PNG_SIGNATURE_BYTES])
    at = PNG_SIGNATURE_BYTES
    while at + 8 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        end = at + 12 + length
        is_own_comment = kind == b"tEXt" and data[at + 8 : end - 4] in PNG_COMMENTS
        if kind in PNG_CHUNKS or is_own_comment:
            out += data[at:end]
        if kind == b"IHDR" and orientation > 1:
            out += _png_chunk(b"eXIf", only_orientation(orientation))
        if kind == b"IEND":
            break
        at = end
    return bytes(out)


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4) + kind + content + zlib.crc32(kind + content).to_bytes(4)


RIFF_HEADER_BYTES = 12
WEBP_CHUNKS = {b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"ICCP"}
WEBP_EXTENDED = b"VP8X"
EXIF_FLAG, XMP_FLAG = 0x08, 0x04


def stripped_webp(data: bytes, orientation: int) -> bytes:
    """The file with the chunks of pixels and the colour profile only.

    Args:
        data: the file. Data after its container is removed; a truncated file stays as it is.
        orientation: 1 to 8; written into a new EXIF chunk unless it is 1.
    """
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        return data
    out, at = bytearray(), RIFF_HEADER_BYTES
    is_extended = False
    while at + 8 <= end:
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        after = at + 8 + size + size % 2
        if kind in WEBP_CHUNKS:
            out += data[at : min(after, end)]
        elif kind == WEBP_EXTENDED:
            is_extended = True
            flags = data[at + 8] & ~(EXIF_FLAG | XMP_FLAG) | (EXIF_FLAG * (orientation > 1))
            out += data[at : at + 8] + bytes((flags,)) + data[at + 9 : after]
        at = after
    if is_extended and orientation > 1:
        exif = b"Exif\0\0" + only_orientation(orientation)
        out += b"EXIF" + len(exif).to_bytes(4, "little") + exif + b"\0" * (len(exif) % 2)
    return data[:4] + (len(out) + 4).to_bytes(4, "little") + data[8:12] + bytes(out)


BMP_HEADER_BYTES = 14
BMP_MASK_BYTES = {3: 12, 6: 16}
BMP_UNCOMPRESSED = (0, 3, 6)


def stripped_bmp(data: bytes) -> bytes:
    """The file with zeros in unused bytes, without a colour profile and data after the pixels.

    Raises:
        BadImage: ``unsupported``: its header is not supported.
    """
    size = int.from_bytes(data[14:18], "little")
    offset = int.from_bytes(data[10:14], "little")
    if size == 12:
        width, height = _number(data, 18, 2), _number(data, 20, 2)
        bits, compression, colours, entry, image = _number(data, 24, 2), 0, 0, 3, 0
    elif size >= 40:
        width, height = _number(data, 18, 4), abs(_signed(data, 22))
        bits, compression = _number(data, 28, 2), _number(data, 30, 4)
        image, colours, entry = _number(data, 34, 4), _number(data, 46, 4), 4
    else:
        raise refuse(
            "unsupported",
            f"The BMP file has a header of {size} bytes, which is not supported. Save it as PNG.",
        )
    colours = colours or (1 << bits if bits <= 8 else 0)
    masks = BMP_MASK_BYTES.get(compression, 0) if size == 40 else 0
    table = BMP_HEADER_BYTES + size + masks + colours * entry
    rows = (width * bits + 31) // 32 * 4 * height if compression in BMP_UNCOMPRESSED else image
    end = offset + rows if rows else len(data)
    out = bytearray(data[:end])
    gap = slice(min(table, offset), offset)
    out[gap] = bytes(len(out[gap]))
    if size >= 124 and len(out) >= 138:
        out[126:134] = bytes(8)  # offset and size of a profile, which can be a path
    if end < len(data):
        out[2:6] = len(out).to_bytes(4, "little")
    return bytes(out)


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "little")


def _signed(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little", signed=True)
