"""A grid of captioned images in one Matplotlib axes.

An axes for each image is what such a figure costs most: a hundred of them take seconds to lay out
and draw. Here all images are one array, and captions are text on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

GAP = 0.06
"""Between images, as a share of their side."""
LINE = 1.3
"""Height of a line of a caption, as a multiple of its font size."""
EMPTY = 64
"""Side, in pixels, of the places of a grid without an image."""
POINTS = 72
"""In an inch."""
TITLE = 12
"""Font size of the title, in points."""

Image = NDArray[np.uint8]
"""(side, side, 3)."""


@dataclass(frozen=True)
class Outline:
    """The edge of a region.

    Args:
        mask: bool (side, side).
        colour: of the line.
    """

    mask: NDArray[np.bool_]
    colour: str


@dataclass(frozen=True)
class Tile:
    """An image of a grid, with what is drawn on it.

    Args:
        image: uint8 (side, side, 3); all images of a grid have the same side.
        caption: above it.
        colour: of the caption.
        outlines: of regions.
        cross: row and column of a point to mark.
    """

    image: Image
    caption: str = ""
    colour: str = "black"
    outlines: tuple[Outline, ...] = ()
    cross: tuple[int, int] | None = None


@dataclass(frozen=True)
class Note:
    """Text in the place of an image."""

    text: str


Row = Sequence[Tile | Note | None]
"""``None`` leaves a place empty."""


def draw_grid(
    rows: Sequence[Row],
    *,
    title: str,
    inches: float,
    names: Sequence[str] = (),
    fontsize: float = 7,
    centred: bool = False,
) -> Figure:
    """Draw rows of images, each with its caption above it.

    Args:
        rows: one at least, with one place at least.
        title: of the figure.
        inches: side of an image.
        names: of the rows, left of them.
        fontsize: of captions, in points.
        centred: whether captions are centred above their images; they begin with them if not.

    Returns:
        A figure with one axes, whose data coordinates are pixels of the images.
    """
    tiles = [tile for row in rows for tile in row if isinstance(tile, Tile)]
    side = len(tiles[0].image) if tiles else EMPTY
    per_inch = side / inches
    gap = round(GAP * side)
    lines = max((tile.caption.count("\n") + 1 for tile in tiles if tile.caption), default=0)
    above = round(lines * LINE * fontsize / POINTS * per_inch)
    across, down = side + gap, above + side + gap
    height, width = down * len(rows), across * max(map(len, rows)) - gap
    canvas = np.full((height, width, 3), 255, np.uint8)
    figure = Figure(figsize=(width / per_inch, height / per_inch))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    for i, row in enumerate(rows):
        top = i * down + above
        if names:
            _write(axes, -gap, top + side / 2, names[i], ha="right", fontsize=fontsize)
        for j, tile in enumerate(row):
            left = j * across
            if isinstance(tile, Note):
                _write(axes, left, top + side / 2, tile.text, fontsize=fontsize, color="0.5")
            elif tile is not None:
                canvas[top : top + side, left : left + side] = tile.image
                at = left + side / 2 if centred else left
                _write(
                    axes,
                    at,
                    top - gap / 2,
                    tile.caption,
                    ha="center" if centred else "left",
                    va="bottom",
                    fontsize=fontsize,
                    color=tile.colour,
                )
                _mark(axes, tile, left=left, top=top)
    axes.imshow(canvas, extent=(-0.5, width - 0.5, height - 0.5, -0.5), aspect="auto")
    _write(axes, width / 2, -gap, title, ha="center", va="bottom", fontsize=TITLE)
    return figure


def coloured(
    values: NDArray[np.floating], colours: str, *, low: float = 0.0, high: float = 1.0
) -> Image:
    """A map of numbers in the colours of one of Matplotlib's colour maps.

    Args:
        values: (side, side).
        colours: name of the colour map.
        low: what gets its first colour; what is lower gets it too.
        high: what gets its last colour; what is higher gets it too.
    """
    return np.asarray(colormaps[colours]((values - low) / (high - low), bytes=True)[..., :3])


def overlaid(image: Image, heat: NDArray[np.floating], *, opacity: float) -> Image:
    """An image under a heat map.

    Args:
        image: uint8 (side, side, 3).
        heat: (side, side), 0 to 1.
        opacity: of the heat map, 0 to 1.
    """
    mixed = (1 - opacity) * image + opacity * coloured(heat, "turbo")
    return mixed.round().astype(np.uint8)


def _write(axes: Axes, x: float, y: float, text: str, **style: object) -> None:
    if text:
        axes.text(x, y, text, **({"va": "center"} | style))  # type: ignore[arg-type]


def _mark(axes: Axes, tile: Tile, *, left: int, top: int) -> None:
    for outline in tile.outlines:
        if outline.mask.any():
            down, across = (np.arange(length) for length in outline.mask.shape)
            axes.contour(
                left + across,
                top + down,
                outline.mask,
                levels=[0.5],
                colors=outline.colour,
                linewidths=1.2,
            )
    if tile.cross is not None:
        row, column = tile.cross
        axes.plot(left + column, top + row, "x", color="white", markersize=7, markeredgewidth=2)
