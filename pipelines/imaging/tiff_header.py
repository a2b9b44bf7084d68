"""The first directory of a TIFF (TIFF 6.0, BigTIFF), to say which variant it is.

Pillow calls a whole TIFF of a variant that it does not read broken, and reads planes of 16 bits
as if they had 8.
"""

from typing import Literal, NamedTuple

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
SAMPLES, PLANAR, SAMPLE_FORMAT = 277, 284, 339
WANTED = (WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, SAMPLES, PLANAR, SAMPLE_FORMAT)
BYTES = {1: 1, 3: 2, 4: 4, 16: 8}
"""Bytes of a value by its type: BYTE, SHORT, LONG, LONG8."""
MOST_VALUES = 16
FLOATING = 3
COMPRESSIONS = {7: "JPEG", 33003: "JPEG 2000", 33005: "JPEG 2000", 34712: "JPEG 2000"}


class Header(NamedTuple):
    """What the first directory says."""

    order: Literal["little", "big"]
    big_tiff: bool
    fields: dict[int, tuple[int, ...]]

    @property
    def planes(self) -> bool:
        """Whether samples are stored in planes of their own."""
        return self.fields.get(PLANAR, (1,))[0] == 2 and self.fields.get(SAMPLES, (1,))[0] > 1

    def __str__(self) -> str:
        bits = max(self.fields.get(BITS, (1,)))
        kind = "floating-point " if FLOATING in self.fields.get(SAMPLE_FORMAT, ()) else ""
        compression = self.fields.get(COMPRESSION, (1,))[0]
        return (
            f"{'Big' if self.big_tiff else ''}TIFF ({self.order}-endian) with "
            f"{self.fields.get(SAMPLES, (1,))[0]} {kind}samples of {bits} bits a pixel"
            f"{' in planes' if self.planes else ''}, PhotometricInterpretation "
            f"{self.fields.get(PHOTOMETRIC, ('missing',))[0]}, compression "
            f"{COMPRESSIONS.get(compression, compression)}"
        )


def header_of(data: bytes) -> Header | None:
    """The first directory; ``None`` if there is none that describes an image."""
    order: Literal["little", "big"] = "little" if data[:2] == b"II" else "big"
    big = int.from_bytes(data[2:4], order) == 43
    wide, entry = (8, 20) if big else (4, 12)
    at = int.from_bytes(data[8:16] if big else data[4:8], order)
    counted = 8 if big else 2
    count = int.from_bytes(data[at : at + counted], order)
    fields: dict[int, tuple[int, ...]] = {}
    for place in range(at + counted, at + counted + entry * min(count, 1000), entry):
        if place + entry > len(data):
            return None
        tag, kind = (int.from_bytes(data[p : p + 2], order) for p in (place, place + 2))
        values = int.from_bytes(data[place + 4 : place + 4 + wide], order)
        if tag not in WANTED or kind not in BYTES or not 0 < values <= MOST_VALUES:
            continue
        size, begin = BYTES[kind], place + 4 + wide
        if size * values > wide:
            begin = int.from_bytes(data[begin : begin + wide], order)
        raw = data[begin : begin + size * values]
        fields[tag] = tuple(
            int.from_bytes(raw[p : p + size], order) for p in range(0, len(raw), size)
        )
    if not (fields.get(WIDTH) and fields.get(HEIGHT) and all(fields.values())):
        return None
    return Header(order, big, fields)
