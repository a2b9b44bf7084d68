"""A decoded picture to the model's square input."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipelines.imaging.body import crop_to_body
from pipelines.spec import ImageSpec


def fit(array: NDArray[np.uint8], image: ImageSpec) -> NDArray[np.uint8]:
    """Crop (if asked), resize and pad a picture to the square the model takes.

    Resizing is Pillow's triangle filter, whose support grows as the picture shrinks, so every
    pixel counts and nothing aliases; it works in whole numbers, so all machines get equal bytes.

    Args:
        array: uint8 (height, width, 3).
        image: ``size``, ``resize`` and ``crop`` of the data set's spec.

    Returns:
        uint8 (size, size, 3); the input itself is never changed.
    """
    assert array.dtype == np.uint8, array.dtype
    assert array.shape[2:] == (3,), array.shape
    picture = crop_to_body(array) if image.crop == "body" else array
    if image.resize == "stretch":
        return _resized(picture, image.size, image.size)
    return _padded(picture, image.size)


def _resized(array: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    if array.shape[:2] == (height, width):
        return array.copy()
    picture = Image.fromarray(np.ascontiguousarray(array))
    return np.array(picture.resize((width, height), Image.Resampling.BILINEAR))


def _padded(array: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Keep the aspect ratio: the longer side fills the square, black fills the rest evenly."""
    height, width = array.shape[:2]
    longer = max(height, width)
    inner = _resized(
        array, max(1, round(width * size / longer)), max(1, round(height * size / longer))
    )
    top, left = (size - inner.shape[0]) // 2, (size - inner.shape[1]) // 2
    square = np.zeros((size, size, 3), np.uint8)
    square[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return square
