"""What is no picture, and the reason that is given."""

import struct
import tracemalloc
import zlib
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from pipelines.errors import BadImage
from pipelines.imaging import REASONS, Limits, Reason, decode, inspect
from tests.pipelines.imaging.pictures import chunk, colours, deep, file_of, greys, png_of

COLOURS = colours()
OTHER = Image.fromarray(255 - COLOURS)
JPEG = file_of(COLOURS, "JPEG")
PNG = file_of(COLOURS, "PNG")


def altered(data: bytes, place: int) -> bytes:
    """The same bytes, one of them another."""
    return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


def claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is large."""
    return png_of(np.zeros((1, 10), np.uint8), size=(width, height), bits=8, colour=0)


def pages(count: int) -> bytes:
    """A TIFF with a chain of nearly empty pages behind the first."""
    picture = bytearray(file_of(greys(), "TIFF"))
    first = struct.unpack("<I", picture[4:8])[0]
    entries = struct.unpack("<H", picture[first : first + 2])[0]
    link = first + 2 + 12 * entries
    directory = bytes(picture[first:link])
    for _ in range(count):
        picture[link : link + 4] = struct.pack("<I", len(picture))
        link = len(picture) + len(directory)
        picture += directory + bytes(4)
    return bytes(picture)


REFUSED = {
    "nothing": (b"", "empty"),
    "one byte": (b"\xff", "unknown_format"),
    "text": (b"Dear colleague,\n\nthe images are on the way.", "unknown_format"),
    "text like a BMP": (b"BMW builds no scanners, as far as I know.", "unknown_format"),
    "gif": (file_of(greys(), "GIF"), "unknown_format"),
    "jpeg 2000": (file_of(COLOURS, "JPEG2000"), "unknown_format"),
    "avif": (file_of(COLOURS, "AVIF"), "unknown_format"),
    "half a jpeg": (JPEG[: len(JPEG) // 2], "truncated"),
    "half a jpeg, filled up with zeros": (
        JPEG[: len(JPEG) // 2] + bytes(len(JPEG) // 2),
        "truncated",
    ),
    "half a jpeg, closed by an end mark": (JPEG[: len(JPEG) * 3 // 4] + b"\xff\xd9", "truncated"),
    "half a CMYK jpeg, closed by an end mark": (
        (cmyk := file_of(OTHER.convert("CMYK"), "JPEG"))[: len(cmyk) * 3 // 4] + b"\xff\xd9",
        "truncated",
    ),
    "half a png": (PNG[: len(PNG) // 2], "truncated"),
    "half a bmp": (file_of(COLOURS, "BMP")[:5000], "truncated"),
    "half a tiff": (
        # the header stands before the pixels in this one
        (tiff := file_of(COLOURS, "TIFF"))[: len(tiff) // 2],
        "truncated",
    ),
    "half a webp": (file_of(COLOURS, "WEBP")[:200], "truncated"),
    "a wrong byte in a png": (altered(PNG, len(PNG) // 2), "corrupt"),
    "a jpeg that only begins like one": (b"\xff\xd8\xff" + b"a" * 60, "corrupt"),
    "a png that only begins like one": (b"\x89PNG\r\n\x1a\n" + b"a" * 60, "truncated"),
    "a tiff that only begins like one": (b"II*\0" + b"\0" * 60, "corrupt"),
    "a webp that only begins like one": (b"RIFF\x08\0\0\0WEBPVP8 ", "corrupt"),
    "81 million pixels in 100 bytes": (claiming(9000, 9000), "too_large"),
    "more pixels than there is memory": (claiming(2_000_000, 2_000_000), "too_large"),
    "a stamp": (file_of(greys(31, 200), "PNG"), "too_small"),
    "an animation": (file_of(COLOURS, "PNG", save_all=True, append_images=[OTHER]), "multi_frame"),
    "another animation": (
        file_of(COLOURS, "WEBP", save_all=True, append_images=[OTHER]),
        "multi_frame",
    ),
    "floating-point pixels": (file_of(deep().astype(np.float32), "TIFF"), "unsupported"),
    "32-bit pixels": (file_of(deep().astype(np.int32), "TIFF"), "unsupported"),
    "Lab colours": (file_of(OTHER.convert("LAB"), "TIFF"), "unsupported"),
    "a comment that unpacks to 100 MB": (
        png_of(
            greys(),
            size=(64, 48),
            bits=8,
            colour=0,
            before=chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(100_000_000))),
        ),
        "corrupt",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_each_gets_its_reason(kind: str) -> None:
    data, reason = REFUSED[kind]
    with pytest.raises(BadImage) as refused:
        decode(data)
    assert refused.value.reason == reason
    assert refused.value.reason in REASONS


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (file_of(greys(), "GIF"), "a GIF"),
        (b"%PDF-1.7", "a PDF"),
        (b"PK\x03\x04rest", "a ZIP"),
        (b"<!DOCTYPE html>", "HTML"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"\0" * 344 + b"n+1\0", "a NIfTI volume"),
        (b"Dear colleague,", "text"),
        (bytes(range(128, 250)), "not in a known format"),
    ],
)
def test_what_was_landed_by_mistake_is_named(data: bytes, names: str) -> None:
    with pytest.raises(BadImage, match=names):
        inspect(data)


def test_limits_are_the_callers() -> None:
    assert decode(PNG, limits=Limits(min_side=48)).shape == COLOURS.shape
    for limits, reason in (
        (Limits(max_bytes=len(PNG) - 1), "too_large"),
        (Limits(max_pixels=64 * 48 - 1), "too_large"),
        (Limits(min_side=49), "too_small"),
    ):
        with pytest.raises(BadImage) as refused:
            decode(PNG, limits=limits)
        assert refused.value.reason == reason


def test_a_bomb_is_refused_before_memory_is_spent_on_it() -> None:
    bomb = claiming(7000, 7200)  # 50.4 million pixels
    tracemalloc.start()
    try:
        assert inspect(bomb).width == 7000
        with pytest.raises(BadImage):
            decode(bomb)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.timeout(20)
def test_a_tiff_of_very_many_pages_takes_no_time() -> None:
    assert inspect(pages(3)).frames == 4
    assert inspect(pages(50_000)).frames == 1000


def test_every_reason_is_explained() -> None:
    assert set(REASONS) == set(get_args(Reason))
    assert {reason for _, reason in REFUSED.values()} | {"blank", "no_pixels"} == set(REASONS)
