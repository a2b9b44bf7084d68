"""Where the cells of a feature map stand in a model's input.

A cell of the last feature map looks at one place of the input. Those places are evenly spaced, but
padding, and what the kernels learned, decide where the first one is: in `strided_cnn` cell ``i``
looks at pixel ``16 i + 15``, not at ``16 i + 7.5``, where stretching the map over the input would
draw it (`pipelines/evaluation/geometry.py` finds out).
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field


class Cells(BaseModel):
    """The places of a feature map's cells, the same along both axes; pixel 0 is the first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: float
    """The pixel that the first cell's field of view is centred on."""
    stride: float = Field(gt=0)
    """Pixels from one cell to the next."""


def stretched(cells: int, size: int) -> Cells:
    """Cells that cover an input evenly, edge to edge."""
    stride = size / cells
    return Cells(first=(stride - 1) / 2, stride=stride)


def spread(heat: NDArray[np.float32], cells: Cells, size: int) -> NDArray[np.float32]:
    """Draw a map of cells over a model's input, each at its place.

    Args:
        heat: float32 (h, w).
        cells: where they stand.
        size: side of the input in pixels.

    Returns:
        float32 (size, size): linear between the cells; beyond the outer ones, their values.
    """
    scale, start = 1 / cells.stride, -cells.first / cells.stride
    to_cell = np.array([[scale, 0, start], [0, scale, start]], np.float64)
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    drawn = cv2.warpAffine(heat, to_cell, (size, size), flags=how, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(drawn, np.float32)
