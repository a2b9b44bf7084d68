"""EXIF orientation: pictures are decoded as they are looked at."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipelines.imaging import decode, inspect
from tests.pipelines.imaging.pictures import colours, file_of

UPRIGHT = colours()
# how a camera that was held so stores the upright picture (EXIF 2.32, tag 0x0112)
STORED = {
    1: UPRIGHT,
    2: UPRIGHT[:, ::-1],
    3: UPRIGHT[::-1, ::-1],
    4: UPRIGHT[::-1],
    5: UPRIGHT.swapaxes(0, 1),
    6: np.rot90(UPRIGHT),
    7: UPRIGHT[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90(UPRIGHT, -1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_the_picture_is_upright(format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, dict[str, Any]] = {
        "WEBP": {"lossless": True},
        "JPEG": {"quality": 98, "subsampling": 0},
    }
    stored = np.ascontiguousarray(STORED[orientation])
    data = file_of(stored, format, exif=exif, **options.get(format, {}))
    picture = decode(data)
    assert picture.shape == UPRIGHT.shape
    assert np.abs(picture.astype(int) - UPRIGHT).mean() < (2 if format == "JPEG" else 0.001)
    info = inspect(data)
    assert (info.height, info.width) == UPRIGHT.shape[:2]


@pytest.mark.parametrize("orientation", [0, 9, 255])
def test_an_orientation_that_does_not_exist_turns_nothing(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(decode(file_of(UPRIGHT, "PNG", exif=exif)), UPRIGHT)


def test_a_16_bit_picture_is_turned_too() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = np.ascontiguousarray(np.rot90(UPRIGHT[..., 0].astype(np.uint16) * 100))
    turned = decode(file_of(stored, "PNG", exif=exif))
    upright = decode(file_of(UPRIGHT[..., 0].astype(np.uint16) * 100, "PNG"))
    np.testing.assert_array_equal(turned, upright)
