"""Unusual but whole PNG and TIFF files: the right pixels, or ``unsupported`` by name."""

import struct
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.errors import BadImage
from pipelines.imaging import decode
from pipelines.imaging.depth import stretch
from tests.pipelines.imaging.pictures import chunk, colours, deep, file_of, greys, png_of

COLOURS, GREYS, DEEP = colours(), greys(), deep()
SHADES = stretch(DEEP)


def grey_alpha_png(alpha: NDArray[Any]) -> bytes:
    both = np.stack([DEEP, alpha], -1).astype(">u2")
    return png_of(both.view(np.uint8).reshape(48, -1), size=(64, 48), bits=16, colour=4)


def test_deep_grey_with_alpha_is_scaled_by_what_can_be_seen() -> None:
    opaque = np.full_like(DEEP, 65535)
    np.testing.assert_array_equal(decode(grey_alpha_png(opaque))[..., 0], SHADES)
    half = opaque.copy()
    half[:, :32] = 0
    image = decode(grey_alpha_png(half))[..., 0]
    assert not image[:, :32].any()
    np.testing.assert_array_equal(image[:, 32:], stretch(DEEP[:, 32:]))


def test_a_transparent_value_of_deep_grey_is_black_and_out_of_the_range() -> None:
    values = DEEP.copy()
    values[:10] = 65000
    data = png_of(
        values.astype(">u2").view(np.uint8).reshape(48, -1),
        size=(64, 48),
        bits=16,
        colour=0,
        before=chunk(b"tRNS", struct.pack(">H", 65000)),
    )
    image = decode(data)[..., 0]
    assert not image[:10].any()
    np.testing.assert_array_equal(image[10:], stretch(values[10:]))


def tiff(pixels: bytes, order: str, *, big: bool = False, **fields: Any) -> bytes:
    """An uncompressed TIFF of 64 x 48 in one strip (or one for each plane)."""
    numbers = {
        "bits": 258,
        "compression": 259,
        "photometric": 262,
        "samples": 277,
        "planar": 284,
        "extra": 338,
        "format": 339,
    }
    planes = fields["samples"] if fields.get("planar") == 2 else 1
    entries: dict[int, tuple[int, ...]] = {256: (64,), 257: (48,), 259: (1,), 278: (48,)}
    entries |= {numbers[k]: v if isinstance(v, tuple) else (v,) for k, v in fields.items()}
    wide, kind = (8, "Q") if big else (4, "I")
    each, entry = len(pixels) // planes, 20 if big else 12
    start = 16 if big else 8
    tail = start + (8 if big else 2) + entry * (len(entries) + 2) + wide
    entries[279] = (each,) * planes
    room = sum(8 * len(v) for v in entries.values()) + 8 * planes
    entries[273] = tuple(tail + room + each * index for index in range(planes))
    directory, rest = b"", b""
    for tag, values in sorted(entries.items()):
        long = tag in (273, 279)
        packed = struct.pack(f"{order}{len(values)}{'I' if long else 'H'}", *values)
        head = struct.pack(f"{order}HH{kind}", tag, 4 if long else 3, len(values))
        if len(packed) > wide:
            directory += head + struct.pack(f"{order}{kind}", tail + len(rest))
            rest += packed
        else:
            directory += head + packed.ljust(wide, b"\0")
    mark = b"II" if order == "<" else b"MM"
    first = struct.pack(f"{order}HHHQ", 43, 8, 0, 16) if big else struct.pack(f"{order}HI", 42, 8)
    count = struct.pack(f"{order}{'Q' if big else 'H'}", len(entries))
    made = mark + first + count + directory + bytes(wide) + rest
    return made.ljust(tail + room, b"\0") + pixels


def words(order: str, values: NDArray[Any]) -> bytes:
    return values.astype(f"{order}u2").tobytes()


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiffs_show_the_right_pixels(order: str) -> None:
    grey: dict[str, Any] = {"samples": 1, "photometric": 1}
    rgb: dict[str, Any] = {"samples": 3, "photometric": 2}
    eight, sixteen = (8, 8, 8), (16, 16, 16)
    planes = np.ascontiguousarray(COLOURS.transpose(2, 0, 1))
    deep_rgb = COLOURS.astype(np.uint16) * 256 + 7
    cases = {
        "grey": (tiff(GREYS.tobytes(), order, bits=8, **grey), np.stack([GREYS] * 3, -1)),
        "grey, white is 0": (
            tiff((255 - GREYS).tobytes(), order, bits=8, samples=1, photometric=0),
            np.stack([GREYS] * 3, -1),
        ),
        "deep grey": (tiff(words(order, DEEP), order, bits=16, **grey), np.stack([SHADES] * 3, -1)),
        "deep grey, white is 0": (
            tiff(words(order, DEEP), order, bits=16, samples=1, photometric=0),
            255 - np.stack([SHADES] * 3, -1),
        ),
        "colour": (tiff(COLOURS.tobytes(), order, bits=eight, **rgb), COLOURS),
        "colour in planes": (tiff(planes.tobytes(), order, bits=eight, planar=2, **rgb), COLOURS),
        "deep colour": (tiff(words(order, deep_rgb), order, bits=sixteen, **rgb), COLOURS),
    }
    if order == ">":
        del cases["deep grey, white is 0"]  # Pillow does not read it: unsupported
    for name, (data, expected) in cases.items():
        np.testing.assert_array_equal(decode(data), expected, err_msg=f"{name}, {order}")


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_whole_tiff_of_a_variant_that_is_not_read_is_unsupported_by_name(order: str) -> None:
    both = np.stack([DEEP, np.full_like(DEEP, 65535)], -1)
    planes = COLOURS.astype(np.uint16).transpose(2, 0, 1)
    floats = [DEEP.astype(f"{order}f{size}") for size in (2, 8)]
    cases = {
        "16 bits": tiff(
            words(order, both), order, bits=(16, 16), samples=2, photometric=1, extra=2
        ),
        "floating-point": tiff(
            floats[0].tobytes(), order, bits=16, samples=1, photometric=1, format=3
        ),
        "64 bits": tiff(floats[1].tobytes(), order, bits=64, samples=1, photometric=1, format=3),
        "in planes": tiff(
            words(order, planes), order, bits=(16,) * 3, samples=3, photometric=2, planar=2
        ),
        "JPEG 2000": tiff(
            file_of(COLOURS, "JPEG2000"),
            order,
            bits=(8,) * 3,
            samples=3,
            photometric=2,
            compression=33005,
        ),
    }
    if order == ">":
        cases["BigTIFF"] = tiff(
            COLOURS.tobytes(), order, big=True, bits=(8,) * 3, samples=3, photometric=2
        )
    for named, data in cases.items():
        with pytest.raises(BadImage, match=named) as refused:
            decode(data)
        assert refused.value.reason == "unsupported", named
