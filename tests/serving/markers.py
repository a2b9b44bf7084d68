"""Where the parts of an image file begin and end: the places at which to cut it."""

import io
import itertools
import struct
from collections.abc import Callable, Iterator

import pydicom


def places(data: bytes, format: str) -> list[int]:
    """Lengths at which a file is cut: around every marker and in the middle of every part."""
    borders = sorted({0, *_BORDERS[format](data), len(data)})
    middles = [(a + b) // 2 for a, b in itertools.pairwise(borders)]
    near = [place + step for place in borders for step in (0, 1)]
    return sorted({place for place in (*near, *middles) if 0 <= place < len(data)})


def _jpeg(data: bytes) -> Iterator[int]:
    """Every segment (ITU-T T.81, B.1): two bytes of marker, two of length, content."""
    place = 2
    while data[place : place + 1] == b"\xff":
        marker, length = struct.unpack(">BH", data[place + 1 : place + 4])
        yield from (place, place + 2, place + 4)
        place += 2 + length
        if marker == 0xDA:  # pixels follow, up to the next marker that is none of them
            yield place
            place = next(
                i
                for i in range(place, len(data))
                if data[i] == 0xFF and data[i + 1] not in (0, *range(0xD0, 0xD8))
            )
            if data[place + 1] == 0xD9:
                break
    yield place


def _png(data: bytes) -> Iterator[int]:
    """Every chunk (ISO/IEC 15948, 5.3): length, name, content, checksum."""
    place = 8
    while place < len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        yield from (place, place + 4, place + 8, place + 8 + length)
        place += 12 + length


def _webp(data: bytes) -> Iterator[int]:
    """Every chunk of the RIFF container: name, length, content, padded to an even length."""
    yield from (4, 8)
    place = 12
    while place < len(data):
        (length,) = struct.unpack("<I", data[place + 4 : place + 8])
        yield from (place, place + 4, place + 8)
        place += 8 + length + length % 2


def _tiff(data: bytes) -> Iterator[int]:
    """The header and every entry of the first directory (TIFF 6.0, section 2)."""
    (directory,) = struct.unpack("<I", data[4:8])
    (entries,) = struct.unpack("<H", data[directory : directory + 2])
    yield from (4, 8, directory)
    yield from (directory + 2 + 12 * entry for entry in range(entries + 1))


def _bmp(data: bytes) -> Iterator[int]:
    """File header, bitmap header, pixels."""
    yield from (2, 14, 14 + struct.unpack("<I", data[14:18])[0])
    yield struct.unpack("<I", data[10:14])[0]


def _dicom(data: bytes) -> Iterator[int]:
    """Preamble, mark, and the value of every element."""
    yield from (128, 132)
    dataset = pydicom.dcmread(io.BytesIO(data))
    for element in (*dataset.file_meta, *dataset):
        yield getattr(element, "file_tell", None) or 0


_BORDERS: dict[str, Callable[[bytes], Iterator[int]]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "WEBP": _webp,
    "TIFF": _tiff,
    "BMP": _bmp,
    "DICOM": _dicom,
}
