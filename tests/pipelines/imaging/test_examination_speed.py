"""Fast descriptions of images equal those that plain NumPy gives, to the last digit."""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from benchmarks.examination import plain_blank, plain_box, plain_mask, plain_traces
from pipelines.imaging import decode, is_blank, traces
from pipelines.imaging.body import body_box, body_mask
from pipelines.imaging.histogram import levels, percentile
from tests.pipelines.imaging.pictures import colours, deep, file_of, greys

Picture = NDArray[np.uint8]


def pictures() -> Iterator[Picture]:
    lots = np.random.default_rng(0)
    for height, width in itertools.product((1, 2, 3, 8, 9, 37), repeat=2):
        yield lots.integers(0, 256, (height, width, 3), np.uint8)
        yield np.repeat(lots.integers(0, 256, (height, width, 1), np.uint8), 3, axis=2)
    for shade in (0, 1, 2, 127, 254, 255):
        yield np.full((17, 23, 3), shade, np.uint8)
        yield np.full((1, 1, 3), shade, np.uint8)
    for spread in (1, 3, 7, 9, 40):  # around the limit of what is blank
        yield lots.integers(100, 100 + spread, (60, 50, 3), np.uint8)
    body = np.zeros((200, 300, 3), np.uint8)
    body[40:160, 60:240] = lots.integers(90, 255, (120, 180, 3))
    body[5, 5] = body[190, 290] = 255
    yield body
    yield np.rot90(body)
    yield lots.integers(0, 256, (700, 1100, 3), np.uint8)
    yield lots.integers(0, 30, (600, 530, 3), np.uint8) ** 2
    yield decode(file_of(deep(), "PNG"))  # 16 bits
    yield decode(file_of(greys(), "PNG"))
    yield decode(file_of(colours(), "JPEG", quality=40))


@pytest.mark.parametrize("picture", list(pictures()), ids=lambda picture: f"{picture.shape}")
def test_fast_and_plain_descriptions_are_equal(picture: Picture) -> None:
    data = file_of(np.ascontiguousarray(picture), "PNG")

    assert traces(data, picture) == plain_traces(data, picture)
    assert is_blank(picture) == plain_blank(picture)
    assert body_box(picture) == plain_box(picture)
    assert np.array_equal(body_mask(picture), plain_mask(picture))


def test_a_deviation_of_exactly_two_shades_is_not_blank() -> None:
    picture = np.full((10, 10, 3), 100, np.uint8)
    picture[:5] = 104
    assert not is_blank(picture)
    assert not plain_blank(picture)
    picture[:5] = 103
    assert is_blank(picture)


@pytest.mark.parametrize("pixels", [1, 2, 3, 4, 5, 100, 101, 4097, 50_176])
@pytest.mark.parametrize("percent", [0, 1, 25, 50, 75, 99, 100])
def test_percentiles_of_counts_are_those_of_pixels(pixels: int, percent: int) -> None:
    shades = np.random.default_rng(pixels).integers(0, 256, (1, pixels), np.uint8)
    (counts,) = levels(Image.fromarray(shades))

    assert percentile(counts, percent) == np.percentile(shades, percent)
    as_float = np.percentile(shades.astype(np.float32), percent)
    assert percentile(counts, percent, precision=np.float32) == as_float
