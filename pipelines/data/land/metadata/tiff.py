"""TIFF: directories, and the pixels they point to (TIFF 6.0; BigTIFF).

Bytes of pixels stay at their offset; every other byte becomes zero. So only the data that a
directory names remains.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.imaging.reasons import refuse

MOST_DIRECTORIES = 10_000
MOST_VALUES = 10_000_000
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8} | {
    16: 8,
    17: 8,
    18: 8,
}
"""Bytes of a value, by its type."""
INTEGERS = {1: "B", 3: "H", 4: "I", 16: "Q"}
KEPT = {
    *(254, 255, 256, 257, 258, 259, 262, 263, 266, 273, 274, 277, 278, 279, 280, 281, 282, 283),
    *(284, 290, 291, 292, 293, 296, 301, 317, 318, 319, 320, 321, 322, 323, 324, 325, 332, 334),
    *(336, 338, 339, 340, 341, 342, 347, 512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530),
    *(531, 532, 34675),
}
"""Tags that describe pixels and their display; 34675 is the colour profile."""
POINTERS = {273: 279, 324: 325, 513: 514}
"""Tag with offsets of pixels → tag with their sizes."""


@dataclass(frozen=True)
class Entry:
    """A tag of a directory."""

    tag: int
    kind: int
    count: int
    raw: bytes
    """The whole entry: tag, type, count, and value or offset."""
    start: int
    """Offset of the value in the file."""
    size: int
    """Of the value, in bytes."""


@dataclass(frozen=True)
class Layout:
    """Byte order and offset size of a file."""

    order: str
    big: bool

    @property
    def offset(self) -> str:
        """Format of an offset."""
        return "Q" if self.big else "I"

    def unpack(self, format: str, data: bytes, at: int) -> tuple[int, ...]:
        """Numbers at an offset."""
        return struct.unpack_from(self.order + format, data, at)


def stripped(data: bytes) -> bytes:
    """The file with zeros instead of everything except pixels and colours.

    Raises:
        BadImage: ``unsupported``: its structure is not supported.
    """
    try:
        return _stripped(data)
    except (struct.error, IndexError, OverflowError, MemoryError, KeyError) as error:
        raise refuse(
            "unsupported",
            "The structure of the TIFF file is not supported, so its metadata cannot be removed. "
            "Save it again as PNG, or as TIFF.",
        ) from error


def _stripped(data: bytes) -> bytes:
    layout = Layout("<" if data[:2] == b"II" else ">", big=data[2:4] in (b"+\0", b"\0+"))
    header = 16 if layout.big else 8
    out = bytearray(len(data))
    out[:header] = data[:header]
    end = header
    for offset, entries, after in _directories(data, layout):
        kept = [entry for entry in entries if entry.tag in KEPT]
        end = max(end, _write(out, offset, kept, after, layout))
        for start, size in _used(data, kept, layout):
            out[start : start + size] = data[start : start + size]
            end = max(end, min(start + size, len(data)))
    return bytes(out[:end])


def _directories(data: bytes, layout: Layout) -> Iterator[tuple[int, list[Entry], int]]:
    """Offset, entries and offset of the next directory, for each directory."""
    (start,) = layout.unpack(layout.offset, data, 8 if layout.big else 4)
    seen: set[int] = set()
    while start and start not in seen and len(seen) < MOST_DIRECTORIES:
        seen.add(start)
        entries, after = _entries(data, start, layout)
        yield start, entries, after
        start = after


def _entries(data: bytes, start: int, layout: Layout) -> tuple[list[Entry], int]:
    width, head = (20, 8) if layout.big else (12, 2)
    (count,) = layout.unpack("Q" if layout.big else "H", data, start)
    inline = 8 if layout.big else 4
    entries = []
    for number in range(count):
        at = start + head + number * width
        tag, kind = layout.unpack("HH", data, at)
        (values,) = layout.unpack(layout.offset, data, at + 4)
        value_at = at + width - inline
        size = SIZES.get(kind, 1) * values
        found = value_at if size <= inline else layout.unpack(layout.offset, data, value_at)[0]
        entries.append(Entry(tag, kind, values, data[at : at + width], found, size))
    (after,) = layout.unpack(layout.offset, data, start + head + count * width)
    return entries, after


def _write(out: bytearray, start: int, kept: list[Entry], after: int, layout: Layout) -> int:
    """Write the kept entries at the offset of their directory; return the end offset."""
    count = struct.pack(layout.order + ("Q" if layout.big else "H"), len(kept))
    text = count + b"".join(_tidy(entry, layout) for entry in kept)
    text += struct.pack(layout.order + layout.offset, after)
    out[start : start + len(text)] = text
    return start + len(text)


def _tidy(entry: Entry, layout: Layout) -> bytes:
    """The bytes of an entry, with zeros after a short value."""
    inline = 8 if layout.big else 4
    if entry.size >= inline:
        return entry.raw
    value = entry.raw[-inline:][: entry.size]
    return entry.raw[:-inline] + value + bytes(inline - entry.size)


def _used(data: bytes, kept: list[Entry], layout: Layout) -> Iterator[tuple[int, int]]:
    """Offset and size of the data that entries point to: long values and pixels."""
    inline = 8 if layout.big else 4
    by_tag = {entry.tag: entry for entry in kept}
    for entry in kept:
        if entry.size > inline:
            yield entry.start, entry.size
        if entry.tag in POINTERS:
            offsets = _values(data, entry, layout)
            sizes = by_tag.get(POINTERS[entry.tag])
            yield from _spans(offsets, _values(data, sizes, layout) if sizes else [], len(data))


def _spans(offsets: list[int], sizes: list[int], end: int) -> Iterator[tuple[int, int]]:
    """Offset and size of pixels; they end at the next offset if the size is missing."""
    following = sorted(set(offsets))
    after = dict(zip(following, [*following[1:], end], strict=True))
    for number, start in enumerate(offsets):
        size = sizes[number] if number < len(sizes) else 0
        yield start, size or after[start] - start


def _values(data: bytes, entry: Entry, layout: Layout) -> list[int]:
    if entry.count > MOST_VALUES:
        raise struct.error("too many values")
    return list(layout.unpack(f"{entry.count}{INTEGERS[entry.kind]}", data, entry.start))
