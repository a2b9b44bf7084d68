"""WebP: chunks of a RIFF container (RFC 9649)."""

from pipelines.data.land.metadata.exif import only_orientation

HEADER_BYTES = 12
KEPT = {b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"ICCP"}
EXTENDED = b"VP8X"
EXIF_FLAG, XMP_FLAG = 0x08, 0x04


def stripped(data: bytes, orientation: int) -> bytes:
    """The file with the chunks that pixels are drawn from, and the colour profile.

    Args:
        data: the file. What is behind its container goes; one that is cut off stays as it is.
        orientation: 1 to 8; noted in an EXIF chunk of its own unless it is 1.
    """
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        return data
    out, at = bytearray(), HEADER_BYTES
    is_extended = False
    while at + 8 <= end:
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        after = at + 8 + size + size % 2
        if kind in KEPT:
            out += data[at : min(after, end)]
        elif kind == EXTENDED:
            is_extended = True
            flags = data[at + 8] & ~(EXIF_FLAG | XMP_FLAG) | (EXIF_FLAG * (orientation > 1))
            out += data[at : at + 8] + bytes((flags,)) + data[at + 9 : after]
        at = after
    if is_extended and orientation > 1:
        exif = b"Exif\0\0" + only_orientation(orientation)
        out += b"EXIF" + len(exif).to_bytes(4, "little") + exif + b"\0" * (len(exif) % 2)
    return data[:4] + (len(out) + 4).to_bytes(4, "little") + data[8:12] + bytes(out)
