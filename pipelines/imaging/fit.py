"""A decoded picture to the model's square input."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipelines.imaging.body import body_box
from pipelines.imaging.tones import even
from pipelines.spec import ImageSpec


def fit(array: NDArray[np.uint8], image: ImageSpec) -> NDArray[np.uint8]:
    """Even the tones (if asked), crop (if asked), resize and pad a picture to the model's square.

    Resizing is Pillow's triangle filter, whose support grows as the picture shrinks, so every
    pixel counts and nothing aliases; it works in whole numbers, so all machines get equal bytes.

    Args:
        array: uint8 (height, width, 3).
        image: of the data set's spec.

    Returns:
        uint8 (size, size, 3); the input itself is never changed.
    """
    assert array.dtype == np.uint8, array.dtype
    assert array.shape[2:] == (3,), array.shape
    top, bottom, left, right = crop_box(array, image)
    return _squared(even(array, image)[top:bottom, left:right], image, Image.Resampling.BILINEAR)


def fit_mask(
    mask: NDArray[np.uint8], array: NDArray[np.uint8], image: ImageSpec
) -> NDArray[np.bool_]:
    """Do to a mask what `fit` does to its picture; no shade between the two is made up.

    Args:
        mask: uint8 (height, width, 3), white where something is; of any size that has the
            picture's proportions.
        array: the picture, uint8 (height, width, 3).
        image: as for `fit`.

    Returns:
        bool (size, size), true where something is: brighter than half of the mask's brightest.
    """
    white = mask.max(axis=2)
    marked = (white > white.max() / 2).astype(np.uint8)
    height, width = array.shape[:2]
    marked = _resized(marked, width, height, Image.Resampling.NEAREST)
    top, bottom, left, right = crop_box(array, image)
    return _squared(marked[top:bottom, left:right], image, Image.Resampling.NEAREST) > 0


def crop_box(array: NDArray[np.uint8], image: ImageSpec) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of what `fit` keeps of a picture; ends are exclusive."""
    return body_box(array) if image.crop == "body" else (0, array.shape[0], 0, array.shape[1])


def _squared(
    array: NDArray[np.uint8], image: ImageSpec, how: Image.Resampling
) -> NDArray[np.uint8]:
    if image.resize == "stretch":
        return _resized(array, image.size, image.size, how)
    return _padded(array, image.size, how)


def _resized(
    array: NDArray[np.uint8], width: int, height: int, how: Image.Resampling
) -> NDArray[np.uint8]:
    if array.shape[:2] == (height, width):
        return array.copy()
    return np.array(Image.fromarray(np.ascontiguousarray(array)).resize((width, height), how))


def _padded(array: NDArray[np.uint8], size: int, how: Image.Resampling) -> NDArray[np.uint8]:
    """Keep the aspect ratio: the longer side fills the square, black fills the rest evenly."""
    height, width = array.shape[:2]
    longer = max(height, width)
    inner = _resized(
        array, max(1, round(width * size / longer)), max(1, round(height * size / longer)), how
    )
    top, left = (size - inner.shape[0]) // 2, (size - inner.shape[1]) // 2
    square = np.zeros((size, size, *array.shape[2:]), np.uint8)
    square[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return square
