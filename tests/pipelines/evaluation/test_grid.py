"""Images of a grid are where their captions, outlines and marks are."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from pipelines.evaluation.figures import save
from pipelines.evaluation.grid import Note, Outline, Tile, coloured, draw_grid, overlaid

GREY = np.full((32, 32, 3), 128, np.uint8)


def test_outlines_and_crosses_are_on_their_own_images() -> None:
    mask = np.zeros((32, 32), bool)
    mask[10:20, 4:8] = True
    marked = Tile(GREY, outlines=(Outline(mask, "white"),), cross=(3, 30))

    figure = draw_grid([[Tile(GREY), None], [None, marked]], title="two", inches=1)

    (axes,) = figure.axes
    canvas = np.asarray(axes.images[0].get_array())
    rows, columns = np.nonzero((canvas == 128).all(axis=2))
    top, left = rows.max() - 31, columns.max() - 31
    (outline,) = axes.collections
    edge = np.asarray(outline.get_paths()[0].vertices)
    assert edge.min(axis=0) == pytest.approx([left + 3.5, top + 9.5])
    assert edge.max(axis=0) == pytest.approx([left + 7.5, top + 19.5])
    (cross,) = axes.lines
    assert np.asarray(cross.get_xydata()).tolist() == [[left + 30, top + 3]]


def test_captions_do_not_cover_images(tmp_path: Path) -> None:
    tile = Tile(GREY, "one line\nand another", "red")

    with Pillow.open(
        save(draw_grid([[tile] * 2] * 2, title="", inches=1), tmp_path / "a.png")
    ) as f:
        pixels = np.asarray(f.convert("RGB"))

    assert (pixels == 128).all(axis=2).sum() == pytest.approx(4 * 130**2, rel=0.03)


def test_a_grid_may_hold_nothing_but_notes(tmp_path: Path) -> None:
    figure = draw_grid([[Note("no hits"), None]], title="none", inches=1, names=["spot"])

    save(figure, tmp_path / "a.png")
    assert [text.get_text() for text in figure.axes[0].texts] == ["spot", "no hits", "none"]


def test_numbers_get_the_colours_of_their_map() -> None:
    shades = coloured(np.array([[-9.0, 0.0], [30.0, 99.0]]), "gray", low=0, high=60)

    assert shades[..., 0].tolist() == [[0, 0], [128, 255]]


def test_a_heat_map_is_mixed_with_the_image_below() -> None:
    heat = np.zeros((32, 32), np.float32)

    assert (overlaid(GREY, heat, opacity=0) == GREY).all()
    assert (overlaid(GREY, heat, opacity=1) == coloured(heat, "turbo")).all()
