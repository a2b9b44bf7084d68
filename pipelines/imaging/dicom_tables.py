"""Lookup tables of DICOM: modality and VOI tables (PS3.3, C.11) and palettes (C.7.6.3, C.7.9)."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pipelines.imaging.dicom_file import is_big_endian
from pipelines.imaging.reasons import refuse

MOST_ENTRIES = 1 << 16
DISCRETE, LINEAR, INDIRECT = 0, 1, 2


class Table(NamedTuple):
    """A lookup table."""

    entries: NDArray[np.int64]
    first: int
    """The input that the first entry is for."""
    bits: int
    """Of an entry."""

    def of(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """The entries for values; what is outside gets the first or the last."""
        places = (values.astype(np.int64) - self.first).clip(0, len(self.entries) - 1)
        return np.asarray(self.entries[places])


def table_of(item: Dataset, *, signed: bool, big_endian: bool, name: str) -> Table:
    """A table of a sequence.

    Args:
        item: LUTDescriptor and LUTData.
        signed: whether the values it is for can be negative.
        big_endian: the order of bytes in the file.
        name: of the sequence, for the message.

    Raises:
        BadImage: descriptor and data do not agree (``corrupt``).
    """
    count, first, bits = _descriptor(item, "LUTDescriptor", signed=signed, name=name)
    entries = _entries(item, "LUTData", count, bits, big_endian=big_endian)
    if not 1 <= bits <= 16 or entries.max() >= 1 << bits:
        raise refuse(
            "corrupt",
            f"LUTDescriptor (0028,3002) in {name} says {bits} bits, but LUTData has entries up to "
            f"{entries.max()}.",
        )
    return Table(entries, first, bits)


def palette_of(dataset: Dataset, *, signed: bool) -> list[Table]:
    """The tables of red, green and blue.

    Raises:
        BadImage: a table is missing, or its descriptor and data do not agree (``corrupt``).
    """
    big_endian = is_big_endian(dataset)
    tables = []
    for colour in ("Red", "Green", "Blue"):
        base = f"{colour}PaletteColorLookupTable"
        count, first, bits = _descriptor(
            dataset, f"{base}Descriptor", signed=signed, name="the palette"
        )
        if bits not in (8, 16):
            raise refuse("corrupt", f"{base}Descriptor says {bits} bits; 8 and 16 are possible.")
        if f"Segmented{base}Data" in dataset and not dataset.get(f"{base}Data"):
            entries = _expanded(dataset, f"Segmented{base}Data", count, bits, big_endian)
        else:
            entries = _entries(dataset, f"{base}Data", count, bits, big_endian=big_endian)
        tables.append(Table(entries, first, bits))
    brightest = max(int(table.entries.max()) for table in tables)
    if brightest < 256:  # 8 bits, stored in words and announced as 16 by some writers
        return [table._replace(bits=8) for table in tables]
    if any(table.bits == 8 for table in tables):
        raise refuse(
            "corrupt",
            f"The palette's descriptors say 8 bits, but its data has entries up to {brightest}.",
        )
    return tables


def _descriptor(dataset: Dataset, keyword: str, *, signed: bool, name: str) -> tuple[int, int, int]:
    """Entries, first input and bits: 0 entries are 65,536; signs are right whatever the VR."""
    try:
        count, first, bits = (int(value) for value in dataset[keyword].value)
    except Exception as error:  # missing, or not three numbers
        raise refuse(
            "corrupt", f"{keyword} in {name} is missing or has not three numbers."
        ) from error
    if signed and first >= 1 << 15:
        first -= 1 << 16
    elif not signed and first < 0:
        first += 1 << 16
    return count & 0xFFFF or MOST_ENTRIES, first, bits


def _words(dataset: Dataset, keyword: str, big_endian: bool) -> tuple[NDArray[np.int64], bytes]:
    """An element's values as words, and its bytes."""
    value = dataset[keyword].value if keyword in dataset else None
    if isinstance(value, bytes):
        even = value[: len(value) & ~1]
        words = np.frombuffer(even, ">u2" if big_endian else "<u2").astype(np.int64)
        return words, value
    several: Any = value if hasattr(value, "__len__") else [value]
    words = np.array([int(each) & 0xFFFF for each in several if each is not None], np.int64)
    return words, words.astype("<u2").tobytes()


def _entries(
    dataset: Dataset, keyword: str, count: int, bits: int, *, big_endian: bool
) -> NDArray[np.int64]:
    """Entries stored in words or, with up to 8 bits, in bytes."""
    words, data = _words(dataset, keyword, big_endian)
    if len(words) == count:
        return words
    if bits <= 8 and len(data) in (count, count + count % 2):
        if big_endian:
            data = words.astype("<u2").tobytes()
        return np.frombuffer(data[:count], np.uint8).astype(np.int64)
    raise refuse(
        "corrupt",
        f"{keyword} has {len(words)} words, its descriptor says {count} entries of {bits} bits.",
    )


def _expanded(
    dataset: Dataset, keyword: str, count: int, bits: int, big_endian: bool
) -> NDArray[np.int64]:
    """A segmented table (PS3.3, C.7.9.2) at its full length."""
    words, data = _words(dataset, keyword, big_endian)
    parts, in_bytes = words.tolist(), False
    if bits == 8 and not _is_segments(parts, count):
        parts, in_bytes = list(data), True
    entries: list[int] = []
    _expand(parts, entries, count, keyword, in_bytes=in_bytes)
    if len(entries) != count:
        raise refuse(
            "corrupt", f"{keyword} makes {len(entries)} entries, its descriptor says {count}."
        )
    return np.array(entries, np.int64)


def _is_segments(parts: list[int], count: int) -> bool:
    """Whether words are segments of a table, and not bytes that were taken for words."""
    return len(parts) > 1 and parts[0] in (DISCRETE, LINEAR, INDIRECT) and parts[1] <= count


def _expand(
    parts: list[int],
    entries: list[int],
    count: int,
    keyword: str,
    *,
    in_bytes: bool,
    at: int = 0,
    segments: int | None = None,
) -> None:
    """Append the entries of segments to ``entries``, up to ``count``.

    Args:
        parts: the segments, in words or in bytes.
        entries: what was expanded before; changed in place.
        count: of entries that the table has.
        keyword: for the message.
        in_bytes: what ``parts`` are.
        at: the part to begin with.
        segments: how many to expand, if an indirect segment refers to them.
    """
    offset_parts, part_bytes = (4, 1) if in_bytes else (2, 2)
    while at + 2 < len(parts) and len(entries) < count and segments != 0:
        kind, length = parts[at], parts[at + 1]
        if kind == DISCRETE:
            entries.extend(parts[at + 2 : at + 2 + length])
            at += 2 + length
        elif kind == LINEAR and entries and length:
            start, rise = entries[-1], parts[at + 2] - entries[-1]
            entries.extend(start + round(rise * step / length) for step in range(1, length + 1))
            at += 3
        elif kind == INDIRECT and segments is None:
            written = parts[at + 2 : at + 2 + offset_parts]
            offset = sum(part << (8 * part_bytes * place) for place, part in enumerate(written))
            _expand(
                parts,
                entries,
                count,
                keyword,
                in_bytes=in_bytes,
                at=offset // part_bytes,
                segments=length,
            )
            at += 2 + offset_parts
        else:
            raise refuse("corrupt", f"{keyword} has an impossible segment ({kind}).")
        segments = None if segments is None else segments - 1
