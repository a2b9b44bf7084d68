"""Lossless JPEG (ITU-T T.81, annex H; process 14): DICOM's most common lossless compression.

Decoded here because the C libraries that read it (GDCM, libjpeg) draw on where bytes are missing,
and GDCM 3.2.6 crashed on damaged streams. A pixel takes about 0.4 µs of processor time.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.imaging.jpeg import END, SCAN, Frame, segments
from pipelines.imaging.reasons import refuse

TABLES, RESTART = 0xC4, 0xDD
WINDOW = 16
"""Bits of the longest Huffman code."""
NO_CODE = 255
PIECE = 1 << 20
"""Bytes whose codes are looked for at once; bounds the memory."""


class Table(NamedTuple):
    """A Huffman table by the next 16 bits of the stream, each an array of 65,536."""

    size: NDArray[np.uint8]
    """Bits of the code; 0 where there is none."""
    category: NDArray[np.uint8]
    """Bits of the difference that follow."""


def decode(data: bytes, frame: Frame) -> NDArray[np.uint16]:
    """Decode a lossless JPEG with Huffman codes.

    Args:
        data: the stream.
        frame: its frame header (SOF3).

    Returns:
        uint16 (height, width, components).

    Raises:
        BadImage: bytes are missing or wrong (``truncated``, ``corrupt``), or the components are
            subsampled (``unsupported``).
    """
    if any(component[1:3] != frame.components[0][1:3] for component in frame.components):
        raise refuse("unsupported", "Lossless JPEG with subsampled components is not read.")
    if not 2 <= frame.precision <= 16 or not frame.height or not frame.width:
        raise refuse("corrupt", "The lossless JPEG has an impossible frame header (SOF3).")
    names = [component[0] for component in frame.components]
    shown = np.zeros((frame.height, frame.width, len(names)), np.uint16)
    tables: dict[int, Table] = {}
    interval, seen = 0, set()
    for marker, start, content in segments(data):
        if marker == TABLES:
            tables |= _tables(content)
        elif marker == RESTART:
            interval = int.from_bytes(content[:2])
        elif marker == SCAN:
            named, used = content[1:-3:2], [use >> 4 for use in content[2:-3:2]]
            if not used or not set(named) <= set(names) or not set(used) <= set(tables):
                raise refuse("corrupt", "The lossless JPEG has an impossible scan header (SOS).")
            where, codes = [names.index(name) for name in named], [tables[use] for use in used]
            predictor, shift = content[-3], min(content[-1] & 15, frame.precision - 1)
            coded = _coded(data, start + 4 + len(content))
            differences = _differences(coded, codes, interval, frame)
            for index, part in zip(where, differences, strict=True):
                values = _predicted(part, predictor, frame.precision - shift, interval)
                shown[..., index] = values << shift
            seen |= set(where)
        elif marker == END and len(seen) == len(names):
            return shown
    raise refuse("truncated", "The lossless JPEG ends before its pixels do.")


def _tables(content: bytes) -> dict[int, Table]:
    found, at = {}, 0
    while at + 17 <= len(content):
        counts = content[at + 1 : at + 17]
        values = content[at + 17 : at + 17 + sum(counts)]
        size = np.zeros(1 << WINDOW, np.uint8)
        category = np.zeros(1 << WINDOW, np.uint8)
        code = place = 0
        for bits, count in enumerate(counts, start=1):
            for value in values[place : place + count]:
                low, high = code << (WINDOW - bits), (code + 1) << (WINDOW - bits)
                if value > WINDOW or high > 1 << WINDOW:
                    raise refuse("corrupt", "The lossless JPEG has an impossible Huffman table.")
                size[low:high], category[low:high] = bits, value
                code += 1
            place += count
            code <<= 1
        found[content[at] & 15] = Table(size, category)
        at += 17 + sum(counts)
    return found


def _coded(data: bytes, start: int) -> list[bytes]:
    """The scan's entropy-coded bytes, one part for each restart interval, without stuffing."""
    parts, at, begin = [], start, start
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
            raise refuse("truncated", "The lossless JPEG has no end mark: it was cut off.")
        following = data[at + 1]
        if 0xD0 <= following <= 0xD7 or following not in (0, 0xFF):
            parts.append(data[begin:at].replace(b"\xff\0", b"\xff"))
            begin = at + 2
            if not 0xD0 <= following <= 0xD7:
                return parts
        at += 1 if following == 0xFF else 2


def _differences(
    parts: list[bytes], codes: list[Table], interval: int, frame: Frame
) -> list[NDArray[np.int64]]:
    """The differences of each component of a scan, (height, width)."""
    units = frame.height * frame.width
    each = interval or units
    if len(parts) != -(-units // each) or (interval and interval % frame.width):
        raise refuse("corrupt", "The lossless JPEG has other restart intervals than it says.")
    found = [
        _decoded(part, codes, min(each, units - index * each) * len(codes))
        for index, part in enumerate(parts)
    ]
    together = np.concatenate(found).reshape(frame.height, frame.width, len(codes))
    return [together[..., index] for index in range(len(codes))]


def _decoded(part: bytes, codes: list[Table], count: int) -> NDArray[np.int64]:
    """``count`` differences, the tables taking turns."""
    stream = np.frombuffer(part + bytes(8), np.uint8)
    bits = 8 * len(part)
    starts = np.fromiter(_starts(stream, len(part), codes, count), np.int64, count)
    differences = np.zeros(count, np.int64)
    for turn, table in enumerate(codes):
        places = starts[turn :: len(codes)]
        prefix = _bits(stream, places, WINDOW)
        category = table.category[prefix].astype(np.int64)
        after = places + table.size[prefix]
        extra = _bits(stream, after, WINDOW) >> (WINDOW - category)
        if len(places) and (after + np.where(category == WINDOW, 0, category)).max() > bits:
            raise refuse("truncated", "The lossless JPEG ends before its pixels do.")
        negative = extra < (1 << np.maximum(category - 1, 0))
        values = np.where(negative, extra - (1 << category) + 1, extra)
        values = np.where(category == WINDOW, 1 << (WINDOW - 1), values)
        differences[turn :: len(codes)] = np.where(category == 0, 0, values)
    return differences


def _starts(
    stream: NDArray[np.uint8], length: int, codes: list[Table], count: int
) -> Iterator[int]:
    """Where each code begins, in bits: each follows from the one before."""
    at, turns, left = 0, len(codes), count
    for piece in range(0, max(length, 1), PIECE):
        part = stream[piece : piece + PIECE + 8]
        known = {id(code): code for code in codes}
        steps_of = {key: _steps(part, code) for key, code in known.items()}
        steps = [steps_of[id(code)] for code in codes]
        first, end = 8 * piece, 8 * min(piece + PIECE, length)
        while left and at < end:
            step = steps[(count - left) % turns][at - first]
            if step == NO_CODE:
                raise refuse("corrupt", "The lossless JPEG has a code that its table lacks.")
            yield at
            at += step
            left -= 1
    if left:
        raise refuse("truncated", "The lossless JPEG ends before its pixels do.")


def _steps(stream: NDArray[np.uint8], table: Table) -> bytes:
    """For every bit: how many bits the code and difference have that would begin there."""
    taken = np.where(
        table.size == 0, NO_CODE, table.size + np.where(table.category == WINDOW, 0, table.category)
    ).astype(np.uint8)
    wide = stream.astype(np.uint32)
    three = wide[:-2] << 16 | wide[1:-1] << 8 | wide[2:]
    found = np.empty((len(three), 8), np.uint8)
    for bit in range(8):
        found[:, bit] = taken[(three >> (8 - bit)) & 0xFFFF]
    return found.tobytes()


def _bits(stream: NDArray[np.uint8], places: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """``count`` bits, 16 at the most, from each place in the stream on."""
    first = np.minimum(places >> 3, len(stream) - 3)
    three = (
        stream[first].astype(np.int64) << 16
        | stream[first + 1].astype(np.int64) << 8
        | stream[first + 2].astype(np.int64)
    )
    found: NDArray[np.int64] = (three >> (24 - count - (places & 7))) & ((1 << count) - 1)
    return found


def _predicted(
    differences: NDArray[np.int64], predictor: int, precision: int, interval: int
) -> NDArray[np.uint16]:
    """Samples from differences (T.81, table H.1), in arithmetic modulo 65,536.

    At the start and after every restart, the first row is predicted from the left alone.
    """
    height, width = differences.shape
    rows = interval // width if interval else height
    parts = [
        _predicted_part(differences[top : top + rows], predictor, precision)
        for top in range(0, height, rows)
    ]
    return np.concatenate(parts)


def _predicted_part(
    differences: NDArray[np.int64], predictor: int, precision: int
) -> NDArray[np.uint16]:
    if predictor not in range(1, 8):
        raise refuse("corrupt", f"The lossless JPEG names no known predictor ({predictor}).")
    values = differences.copy()
    values[0, 0] += 1 << (precision - 1)
    values[0] = np.cumsum(values[0])
    values[:, 0] = np.cumsum(values[:, 0])
    if predictor == 1:
        values[1:] = np.cumsum(values[1:], axis=1)
    elif predictor == 2:
        values[:, 1:] = np.cumsum(values[:, 1:], axis=0)
    else:
        values &= 0xFFFF
        for row in range(1, len(values)):
            _predict_row(values[row], values[row - 1], predictor)
    return values.astype(np.uint16)


def _predict_row(row: NDArray[np.int64], above: NDArray[np.int64], predictor: int) -> None:
    """Turn a row of differences, but for its first, into samples, in place."""
    if predictor == 3:
        row[1:] = (row[1:] + above[:-1]) & 0xFFFF
        return
    if predictor == 4:
        row[:] = (np.cumsum(np.concatenate([row[:1], row[1:] + above[1:] - above[:-1]]))) & 0xFFFF
        return
    left, up = int(row[0]), above.tolist()
    for at, difference in enumerate(row.tolist()[1:], start=1):
        if predictor == 5:
            expected = left + ((up[at] - up[at - 1]) >> 1)
        elif predictor == 6:
            expected = up[at] + ((left - up[at - 1]) >> 1)
        else:
            expected = (left + up[at]) >> 1
        left = (expected + difference) & 0xFFFF
        row[at] = left
