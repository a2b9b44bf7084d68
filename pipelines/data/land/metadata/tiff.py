"""TIFF: directories, and the pixels they point to (TIFF 6.0; BigTIFF).

The bytes that pixels are drawn from stay where they are; every other byte becomes zero. So nothing
that a directory does not name survives, whatever program left it there.
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
"""Tags that say how pixels are stored and shown; 34675 is the colour profile."""
POINTERS = {273: 279, 324: 325, 513: 514}
"""Tags with places of pixels → tags with their sizes."""


@dataclass(frozen=True)
class Entry:
    """A tag of a directory."""

    tag: int
    kind: int
    count: int
    raw: bytes
    """The value, or where it is."""
    place: int
    """Where the value is, in the file."""
    size: int
    """Of the value, in bytes."""


@dataclass(frozen=True)
class Layout:
    """How numbers are written in a file."""

    order: str
    big: bool

    @property
    def offset(self) -> str:
        """Format of a place in the file."""
        return "Q" if self.big else "I"

    def unpack(self, format: str, data: bytes, at: int) -> tuple[int, ...]:
        """Numbers at a place."""
        return struct.unpack_from(self.order + format, data, at)


def stripped(data: bytes) -> bytes:
    """The file with zeros for all that no pixel, and no colour, is drawn from.

    Raises:
        BadImage: ``unsupported``: its structure is not understood.
    """
    try:
        return _stripped(data)
    except (struct.error, IndexError, OverflowError, MemoryError, KeyError) as error:
        raise refuse(
            "unsupported",
            "The TIFF's structure is not understood, so its metadata cannot be removed. Save it "
            "again as PNG, or as TIFF.",
        ) from error


def _stripped(data: bytes) -> bytes:
    layout = Layout("<" if data[:2] == b"II" else ">", big=data[2:4] in (b"+\0", b"\0+"))
    header = 16 if layout.big else 8
    out = bytearray(len(data))
    out[:header] = data[:header]
    end = header
    for place, entries, after in _directories(data, layout):
        kept = [entry for entry in entries if entry.tag in KEPT]
        end = max(end, _write(out, place, kept, after, layout))
        for start, size in _used(data, kept, layout):
            out[start : start + size] = data[start : start + size]
            end = max(end, min(start + size, len(data)))
    return bytes(out[:end])


def _directories(data: bytes, layout: Layout) -> Iterator[tuple[int, list[Entry], int]]:
    """Place, entries and the place of the next one, of each directory in the chain."""
    (place,) = layout.unpack(layout.offset, data, 8 if layout.big else 4)
    seen: set[int] = set()
    while place and place not in seen and len(seen) < MOST_DIRECTORIES:
        seen.add(place)
        entries, after = _entries(data, place, layout)
        yield place, entries, after
        place = after


def _entries(data: bytes, place: int, layout: Layout) -> tuple[list[Entry], int]:
    width, head = (20, 8) if layout.big else (12, 2)
    (count,) = layout.unpack("Q" if layout.big else "H", data, place)
    inline = 8 if layout.big else 4
    entries = []
    for number in range(count):
        at = place + head + number * width
        tag, kind = layout.unpack("HH", data, at)
        (values,) = layout.unpack(layout.offset, data, at + 4)
        value_at = at + width - inline
        size = SIZES.get(kind, 1) * values
        start = value_at if size <= inline else layout.unpack(layout.offset, data, value_at)[0]
        entries.append(Entry(tag, kind, values, data[at : at + width], start, size))
    (after,) = layout.unpack(layout.offset, data, place + head + count * width)
    return entries, after


def _write(out: bytearray, place: int, kept: list[Entry], after: int, layout: Layout) -> int:
    """Write a directory of fewer entries where it was; returns where it ends."""
    count = struct.pack(layout.order + ("Q" if layout.big else "H"), len(kept))
    text = count + b"".join(_tidy(entry, layout) for entry in kept)
    text += struct.pack(layout.order + layout.offset, after)
    out[place : place + len(text)] = text
    return place + len(text)


def _tidy(entry: Entry, layout: Layout) -> bytes:
    """The bytes of an entry, without what is left over behind a short value."""
    inline = 8 if layout.big else 4
    if entry.size >= inline:
        return entry.raw
    value = entry.raw[-inline:][: entry.size]
    return entry.raw[:-inline] + value + bytes(inline - entry.size)


def _used(data: bytes, kept: list[Entry], layout: Layout) -> Iterator[tuple[int, int]]:
    """Place and size of what the entries point to: long values, and the pixels."""
    inline = 8 if layout.big else 4
    by_tag = {entry.tag: entry for entry in kept}
    for entry in kept:
        if entry.size > inline:
            yield entry.place, entry.size
        if entry.tag in POINTERS:
            places = _values(data, entry, layout)
            sizes = by_tag.get(POINTERS[entry.tag])
            yield from _spans(places, _values(data, sizes, layout) if sizes else [], len(data))


def _spans(places: list[int], sizes: list[int], end: int) -> Iterator[tuple[int, int]]:
    """Where pixels are; up to the next place, or the end, where their size is not given."""
    following = sorted(set(places))
    after = dict(zip(following, [*following[1:], end], strict=True))
    for number, place in enumerate(places):
        size = sizes[number] if number < len(sizes) else 0
        yield place, size or after[place] - place


def _values(data: bytes, entry: Entry, layout: Layout) -> list[int]:
    if entry.count > MOST_VALUES:
        raise struct.error("too many values")
    return list(layout.unpack(f"{entry.count}{INTEGERS[entry.kind]}", data, entry.place))
