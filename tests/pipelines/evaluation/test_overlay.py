"""The heat map lands where it belongs."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipelines.evaluation.overlay import LONGEST_SIDE, draw, place
from pipelines.imaging import Box, crop_box, fit
from pipelines.release.predictor import Predictor
from pipelines.spec import ImageSpec
from tests.serving.bundles import png

HOT = np.ones((32, 32), np.float32)


@pytest.mark.parametrize("resize", ["stretch", "pad"])
@pytest.mark.parametrize("crop", ["none", "body", "lesion"])
@pytest.mark.parametrize(("height", "width"), [(60, 200), (200, 60), (90, 90)])
def test_place_undoes_fit(resize: Any, crop: Any, height: int, width: int) -> None:
    spec = ImageSpec(size=96, resize=resize, crop=crop)
    picture = np.zeros((height, width, 3), np.uint8)
    picture[10:-10, 5:-5] = 60
    row, column = int(height * 0.7), int(width * 0.35)
    picture[row - 4 : row + 4, column - 4 : column + 4] = 255
    lesion = Box(row - 10, row + 15, column - 15, column + 20)
    box = crop_box(picture, spec, lambda _: lesion)
    as_seen = fit(picture, spec, box)[..., 0].astype(np.float32) / 255
    heat = np.where(as_seen > 0.5, as_seen, 0).astype(np.float32)
    placed = place(heat, picture, spec, box)
    assert placed.shape == (height, width)
    rows, columns = np.nonzero(placed > 0.4)
    assert abs(rows.mean() - row) < 2
    assert abs(columns.mean() - column) < 2


def test_each_cell_is_warm_at_the_place_it_looks_at(predictor: Predictor) -> None:
    reading = predictor.read(png(3))
    activation = predictor.activation(reading, 1)
    cells, size = predictor.bundle.manifest.cells, predictor.bundle.manifest.image.size
    assert cells is not None
    heat = predictor.heat(reading, 1)
    assert heat.shape == (size, size)
    # patches of 4 by 4 pixels: around the middle of each, nearly its own value
    middle = heat.reshape(size // 4, 4, size // 4, 4)[:, 1:3, :, 1:3].mean(axis=(1, 3))
    rows = 0.875 * activation[1:-1] + 0.0625 * (activation[:-2] + activation[2:])
    expected = 0.875 * rows[:, 1:-1] + 0.0625 * (rows[:, :-2] + rows[:, 2:])
    assert middle[1:-1, 1:-1] == pytest.approx(expected, abs=0.02)


def test_nothing_is_placed_outside_what_the_model_saw() -> None:
    picture = np.zeros((100, 100, 3), np.uint8)
    picture[30:70, 30:70] = 200
    placed = place(HOT, picture, ImageSpec(size=32, crop="body"))
    assert placed[:20].max() == 0
    assert placed[40, 40] == 1


def test_where_nothing_was_found_the_picture_stays() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    cold = np.zeros((32, 32), np.float32)
    drawn = _pixels(draw(picture, cold, image=ImageSpec(size=32), opacity=1))
    assert np.array_equal(drawn, picture)


def test_strong_support_is_warm_and_opacity_scales_it() -> None:
    picture = np.full((40, 50, 3), 100, np.uint8)
    full = _pixels(draw(picture, HOT, image=ImageSpec(size=32), opacity=1)).astype(int)
    half = _pixels(draw(picture, HOT, image=ImageSpec(size=32), opacity=0.5)).astype(int)
    assert (full[..., 0] > full[..., 2] + 50).all()
    assert np.abs(half - (full + picture) / 2).max() <= 1


def test_a_large_picture_is_drawn_smaller_in_its_proportions() -> None:
    picture = np.zeros((1000, 4000, 3), np.uint8)
    drawn = _pixels(draw(picture, HOT, image=ImageSpec(size=32), opacity=0.5))
    assert drawn.shape == (LONGEST_SIDE // 4, LONGEST_SIDE, 3)


def _pixels(png: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(png)))
