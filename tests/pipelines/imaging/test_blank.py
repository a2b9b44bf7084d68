"""Pictures that show nothing."""

import numpy as np
import pytest

from pipelines.imaging import decode, is_blank
from tests.pipelines.imaging.pictures import colours, file_of


@pytest.mark.parametrize("shade", [0, 128, 255])
@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_one_shade_is_blank(format: str, shade: int) -> None:
    assert is_blank(decode(file_of(np.full((64, 64), shade, np.uint8), format)))


def test_one_colour_and_faint_noise_are_blank() -> None:
    picture = np.full((64, 64, 3), [200, 30, 90], np.uint8)
    picture += np.random.default_rng(0).integers(0, 4, picture.shape, np.uint8)
    assert is_blank(picture)


def test_a_picture_is_not_blank_nor_is_a_small_bright_thing() -> None:
    assert not is_blank(colours())
    assert not is_blank((colours() // 16).astype(np.uint8))
    dot = np.zeros((100, 100, 3), np.uint8)
    dot[50:53, 50:54] = 200
    assert not is_blank(dot)


def test_a_picture_in_one_channel_only_is_not_blank() -> None:
    picture = colours()
    picture[..., 1:] = 50
    assert not is_blank(picture)
