"""Grey values of more than 8 bits."""

import numpy as np
import pytest
from PIL import Image

from pipelines.imaging import decode
from pipelines.imaging.depth import own_range, stretch, to_shades
from tests.pipelines.imaging.pictures import deep, file_of

TIFFS = {
    "little endian": file_of(deep(), "TIFF"),
    "big endian": file_of(Image.fromarray(deep().astype(">u2")), "TIFF"),
    "compressed": file_of(deep(), "TIFF", compression="tiff_lzw"),
}


@pytest.mark.parametrize("kind", TIFFS)
def test_formats_agree_on_16_bit_pictures(kind: str) -> None:
    np.testing.assert_array_equal(decode(TIFFS[kind]), decode(file_of(deep(), "PNG")))


def test_a_deep_picture_is_scaled_by_its_own_range() -> None:
    picture = decode(file_of(deep(), "PNG"))[..., 0]
    low, high = np.quantile(deep(), [0.005, 0.995], method="nearest")
    expected = np.rint((deep().clip(low, high) - float(low)) / (float(high) - float(low)) * 255)
    np.testing.assert_array_equal(picture, expected)


def test_a_deep_picture_where_zero_is_white_is_inverted() -> None:
    ordinary, inverted = (decode(file_of(deep(), "TIFF", tiffinfo={262: k})) for k in (1, 0))
    np.testing.assert_array_equal(inverted, 255 - ordinary)


def test_a_hot_pixel_does_not_darken_the_picture() -> None:
    hot = deep()
    hot[20, 20] = 65535
    difference = np.abs(stretch(hot).astype(int) - stretch(deep()))
    difference[20, 20] = 0
    assert difference.max() <= 2


def test_a_small_thing_on_a_large_background_is_seen() -> None:
    values = np.zeros((100, 100), np.uint16)
    values[50, 50:53] = [1000, 2000, 3000]
    assert stretch(values)[50, 50:53].tolist() == [85, 170, 255]


def test_a_flat_picture_stays_flat() -> None:
    assert own_range(np.full((4, 4), 7, np.uint16)) == (7, 8)
    assert not stretch(np.full((4, 4), 7, np.uint16)).any()


def test_shades_are_cut_off_at_the_ends_and_rounded_between() -> None:
    values = np.array([-5, 0, 1, 2, 4, 99], np.int16)
    assert to_shades(values, 0, 4).tolist() == [0, 0, 64, 128, 255, 255]
