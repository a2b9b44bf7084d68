"""Whether a JPEG is complete, and what a lossless one holds."""

import random
import struct
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipelines.errors import BadImage
from pipelines.imaging import decode, jpeg, jpeg_lossless
from tests.pipelines.imaging.pictures import colours, deep, file_of, greys

COLOURS, GREYS, DEEP = colours(), greys(), deep()


def reason_of(data: bytes) -> str | None:
    try:
        decode(data)
    except BadImage as error:
        return error.reason
    return None


def test_a_letterbox_of_mid_grey_is_no_damage() -> None:
    boxed = {}
    for name, image in (("grey", GREYS), ("colour", COLOURS)):
        padded = image.copy()
        padded[-16:] = padded[:8] = 128
        boxed[name] = padded
    boxed["all grey but a dot"] = np.full_like(GREYS, 128)
    boxed["all grey but a dot"][4, 4] = 255
    for name, image in boxed.items():
        for options in ({}, {"progressive": True}, {"restart_marker_rows": 1}):
            assert reason_of(file_of(image, "JPEG", quality=95, **options)) is None, name
    cmyk = Image.fromarray(boxed["colour"]).convert("CMYK")
    assert reason_of(file_of(cmyk, "JPEG")) is None


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("bottom", [0, 128])
def test_a_cut_is_seen_wherever_it_is(options: dict[str, Any], bottom: int) -> None:
    image = COLOURS.copy()
    image[-16:] = bottom
    image[-3:, -3:] = 60
    data = file_of(image, "JPEG", quality=90, **options)
    begin = data.index(b"\xff\xda") + 14
    for length in range(begin, len(data) - 3, 7):
        assert reason_of(data[:length]) == "truncated"
        if data[length - 1] != 0xFF:
            assert reason_of(data[:length] + b"\xff\xd9") == "truncated"


def test_a_progressive_jpeg_without_its_last_scans_is_not_whole() -> None:
    data = file_of(COLOURS, "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    assert reason_of(data[:last] + b"\xff\xd9") == "truncated"


def test_what_follows_the_end_does_not_count() -> None:
    data = file_of(COLOURS, "JPEG")
    for rest in (b"\0" * 100, b"a phone's video", b"\xff\xda", data[:300], data):
        np.testing.assert_array_equal(decode(data + rest), decode(data))
    stray = data[:-2] + b"ab\xff\xd9"
    np.testing.assert_array_equal(decode(stray), decode(data))


@pytest.mark.parametrize(
    ("marker", "precision", "named"),
    [(0xC3, 8, "lossless"), (0xC1, 12, "12"), (0xC9, 8, "arithmetic"), (0xF7, 8, "JPEG-LS")],
)
def test_a_jpeg_of_another_process_is_unsupported_by_name(
    marker: int, precision: int, named: str
) -> None:
    data = bytearray(file_of(COLOURS, "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 1], data[at + 4] = marker, precision
    with pytest.raises(BadImage, match=named) as refused:
        decode(bytes(data))
    assert refused.value.reason == "unsupported"


def test_metadata_is_taken_out_without_a_change_of_pixels() -> None:
    data = file_of(COLOURS, "JPEG", comment=b"Doe", icc_profile=b"Doe" * 50)
    bare = jpeg.without_metadata(data + b"Doe")
    assert b"Doe" in data
    assert b"Doe" not in bare
    np.testing.assert_array_equal(decode(bare), decode(data))


def lossless(values: NDArray[Any], precision: int, predictor: int, interval: int = 0) -> bytes:
    """A lossless JPEG, each category of difference coded in 5 bits (T.81, annex H)."""
    height, width, count = values.shape
    samples = values.astype(int)
    rows = interval // width if interval else height
    coded = []
    for top in range(0, height, rows):
        bits = ""
        for y, x, c in np.ndindex(min(rows, height - top), width, count):
            left, up, corner = (
                samples[top + y - dy, x - dx, c] if y >= dy and x >= dx else 0
                for dy, dx in ((0, 1), (1, 0), (1, 1))
            )
            if y == 0 or x == 0:
                expected = left if x else up if y else 1 << (precision - 1)
            else:
                expected = [
                    left,
                    up,
                    corner,
                    left + up - corner,
                    left + ((up - corner) >> 1),
                    up + ((left - corner) >> 1),
                    (left + up) >> 1,
                ][predictor - 1]
            difference = (samples[top + y, x, c] - expected + 32767) % 65536 - 32767
            size = abs(int(difference)).bit_length()
            bits += f"{size:05b}"
            if 0 < size < 16:
                extra = difference if difference > 0 else difference + (1 << size) - 1
                bits += f"{extra:0{size}b}"
        bits += "1" * (-len(bits) % 8)
        packed = bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))
        coded.append(packed.replace(b"\xff", b"\xff\0"))
    table = b"\0" + bytes([0, 0, 0, 0, 17] + [0] * 11) + bytes(range(17))
    names = bytes(range(1, count + 1))
    parts = [
        (
            0xC3,
            struct.pack(">BHHB", precision, height, width, count)
            + b"".join(bytes([name, 0x11, 0]) for name in names),
        ),
        (0xC4, table),
        *([(0xDD, struct.pack(">H", interval))] if interval else []),
        (0xDA, bytes([count]) + b"".join(bytes([n, 0]) for n in names) + bytes([predictor, 0, 0])),
    ]
    head = b"".join(b"\xff" + bytes([m]) + struct.pack(">H", len(p) + 2) + p for m, p in parts)
    body = b"".join(
        part + (b"\xff" + bytes([0xD0 + index % 8]) if index + 1 < len(coded) else b"")
        for index, part in enumerate(coded)
    )
    return b"\xff\xd8" + head + body + b"\xff\xd9"


SHAPES: dict[str, tuple[NDArray[Any], int, int]] = {
    "12 bits": (DEEP[:12, :20, None], 12, 0),
    "16 bits": ((DEEP[:12, :20, None].astype(int) * 16 % 65536).astype(np.uint16), 16, 0),
    "colour": (COLOURS[:12, :20], 8, 0),
    "restarts": (DEEP[:12, :20, None], 12, 40),
}


@pytest.mark.parametrize("predictor", range(1, 8))
def test_lossless_jpeg_is_read_with_every_predictor(predictor: int) -> None:
    for name, (values, precision, interval) in SHAPES.items():
        data = lossless(values, precision, predictor, interval)
        read = jpeg_lossless.decode(data, jpeg.frame_of(data))
        np.testing.assert_array_equal(read, values, err_msg=name)


def test_a_damaged_lossless_jpeg_raises_nothing_but_our_error() -> None:
    data = lossless(DEEP[:12, :20, None], 12, 1)
    for length in range(20, len(data) - 2):
        for end in (b"", b"\xff\xd9"):
            with pytest.raises(BadImage):
                jpeg_lossless.decode(data[:length] + end, jpeg.frame_of(data))
    lots = random.Random(1)
    for _ in range(500):
        wrong = bytearray(data)
        for _ in range(lots.choice([1, 3, 10])):
            wrong[lots.randrange(len(wrong))] = lots.randrange(256)
        with suppress(BadImage):
            jpeg_lossless.decode(bytes(wrong), jpeg.frame_of(bytes(wrong)))
