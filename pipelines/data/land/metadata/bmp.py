"""BMP: header, palette and rows; it has no metadata, but gaps, and room behind the pixels."""

from pipelines.imaging.reasons import refuse

FILE_HEADER = 14
MASKS_BY_COMPRESSION = {3: 12, 6: 16}
UNCOMPRESSED = (0, 3, 6)


def stripped(data: bytes) -> bytes:
    """The file with zeros in its gaps, without a colour profile, and without what follows.

    Raises:
        BadImage: ``unsupported``: its header is not understood.
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
        raise refuse("unsupported", f"The BMP has a header of {size} bytes, which is not read.")
    colours = colours or (1 << bits if bits <= 8 else 0)
    masks = MASKS_BY_COMPRESSION.get(compression, 0) if size == 40 else 0
    table = FILE_HEADER + size + masks + colours * entry
    rows = (width * bits + 31) // 32 * 4 * height if compression in UNCOMPRESSED else image
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
