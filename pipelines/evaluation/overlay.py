"""A heat map over the picture it explains, in the picture's own proportions."""

from functools import lru_cache
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.imaging import Box, crop_box
from pipelines.imaging.fit import shown
from pipelines.spec import ImageSpec

PixelT = TypeVar("PixelT", np.uint8, np.float32)

OPACITY = 0.45
"""Where nobody asks for another."""
LONGEST_SIDE = 1024
"""Larger pictures are drawn at this size, so that an answer stays small."""
PNG_OPTIONS = [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY]
"""For pictures, smaller and half as much work as looking for repetitions."""


def draw(
    picture: NDArray[np.uint8],
    heat: NDArray[np.float32],
    *,
    image: ImageSpec,
    opacity: float,
    box: Box | None = None,
) -> bytes:
    """Draw a heat map over a picture.

    The colour's strength follows the heat: where the model saw nothing for the class, the
    picture stays as it is.

    Args:
        picture: uint8 (height, width, 3), RGB, as decoded.
        heat: float32 (size, size), 0 to 1, over the model's square input.
        image: how the picture became that square.
        opacity: 0 (the picture alone) to 1.
        box: the part of the picture that became it; as for `place`.

    Returns:
        A PNG of the picture's proportions, its longer side at most 1,024 pixels.
    """
    placed = within(place(heat, picture, image, box), LONGEST_SIDE)
    picture = within(picture, LONGEST_SIDE)
    colours = _palette().take((placed * 255).astype(np.uint8), axis=0)  # a quarter of indexing
    strength = opacity * placed
    return encode(np.asarray(cv2.blendLinear(picture, colours, 1 - strength, strength), np.uint8))


def encode(picture: NDArray[np.uint8]) -> bytes:
    """A picture, uint8 (height, width, 3), RGB, as a PNG."""
    done, png = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), PNG_OPTIONS)
    assert done
    return png.tobytes()


def picture_alone(picture: NDArray[np.uint8]) -> bytes:
    """The picture as `draw` shows it, without colours: a PNG."""
    return encode(within(picture, LONGEST_SIDE))


def within(array: NDArray[PixelT], longest: int) -> NDArray[PixelT]:
    """A picture or map, its longer side at most ``longest`` pixels, in its own proportions."""
    height, width = array.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return array
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(array, size, interpolation=cv2.INTER_AREA), array.dtype)


def place(
    heat: NDArray[np.float32],
    picture: NDArray[np.uint8],
    image: ImageSpec,
    box: Box | None = None,
) -> NDArray[np.float32]:
    """Take a map over the model's square input back to the picture: `imaging.fit` undone.

    Args:
        heat: float32 (size, size).
        picture: uint8 (height, width, 3).
        image: how the picture became that square.
        box: the part of the picture that became it, `imaging.crop_box`; found here if not given,
            which a crop to the lesion cannot be.

    Returns:
        float32 (height, width) of the picture; 0 where the model did not look.
    """
    kept = box or crop_box(picture, image)
    seen = shown(kept.height, kept.width, image).of(heat)
    placed = np.zeros(picture.shape[:2], np.float32)
    kept.of(placed)[:] = np.clip(cv2.resize(seen, (kept.width, kept.height)), 0, 1)
    return placed


@lru_cache
def _palette() -> NDArray[np.uint8]:
    """256 colours from cold to warm (Turbo), RGB."""
    ramp = np.arange(256, dtype=np.uint8)[:, None]
    return np.asarray(cv2.applyColorMap(ramp, cv2.COLORMAP_TURBO)[:, 0, ::-1], np.uint8)
