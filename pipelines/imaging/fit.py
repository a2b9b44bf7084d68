"""A decoded picture to the model's square input."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipelines.imaging.body import body_box
from pipelines.imaging.box import Box, Finder, whole
from pipelines.imaging.tones import even
from pipelines.spec import ImageSpec


def fit(array: NDArray[np.uint8], image: ImageSpec, box: Box | None = None) -> NDArray[np.uint8]:
    """Even the tones (if asked), crop (if asked), resize and pad a picture to the model's square.

    Resizing is Pillow's triangle filter, whose support grows as the picture shrinks, so every
    pixel counts and nothing aliases; it works in whole numbers, so all machines get equal bytes.

    Args:
        array: uint8 (height, width, 3).
        image: of the data set's spec.
        box: the part to keep, `crop_box` of the picture; found here if not given, which a crop to
            the lesion cannot be.

    Returns:
        uint8 (size, size, 3); the input itself is never changed.
    """
    assert array.dtype == np.uint8, array.dtype
    assert array.shape[2:] == (3,), array.shape
    kept = (box or crop_box(array, image)).of(even(array, image))
    return _squared(kept, image, Image.Resampling.BILINEAR)


def fit_mask(
    mask: NDArray[np.uint8],
    array: NDArray[np.uint8],
    image: ImageSpec,
    box: Box | None = None,
) -> NDArray[np.bool_]:
    """Do to a mask what `fit` does to its picture; no shade between the two is made up.

    Args:
        mask: uint8 (height, width, 3), white where something is; of any size that has the
            picture's proportions.
        array: the picture, uint8 (height, width, 3).
        image: as for `fit`.
        box: as for `fit`.

    Returns:
        bool (size, size), true where something is: brighter than half of the mask's brightest.
    """
    white = mask.max(axis=2)
    marked = (white > white.max() / 2).astype(np.uint8)
    height, width = array.shape[:2]
    marked = _resized(marked, width, height, Image.Resampling.NEAREST)
    kept = (box or crop_box(array, image)).of(marked)
    return _squared(kept, image, Image.Resampling.NEAREST) > 0


def crop_box(array: NDArray[np.uint8], image: ImageSpec, find: Finder | None = None) -> Box:
    """What `fit` keeps of a picture.

    Args:
        array: uint8 (height, width, 3).
        image: of the data set's spec.
        find: finds the lesion, where the spec crops to it; a picture in which it finds none is
            kept whole.
    """
    if image.crop == "lesion":
        assert find is not None, "a crop to the lesion needs a network that finds it"
        return find(array) or whole(array)
    return Box(*body_box(array)) if image.crop == "body" else whole(array)


def shown(height: int, width: int, image: ImageSpec) -> Box:
    """The part of the square that shows a picture of (height, width); the rest is padding."""
    if image.resize == "stretch":
        return Box(0, image.size, 0, image.size)
    scale = image.size / max(height, width)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (image.size - rows) // 2, (image.size - columns) // 2
    return Box(top, top + rows, left, left + columns)


def _squared(
    array: NDArray[np.uint8], image: ImageSpec, how: Image.Resampling
) -> NDArray[np.uint8]:
    """The picture where it is `shown`, black around it."""
    place = shown(array.shape[0], array.shape[1], image)
    inner = _resized(array, place.width, place.height, how)
    if inner.shape[:2] == (image.size, image.size):
        return inner
    square = np.zeros((image.size, image.size, *array.shape[2:]), np.uint8)
    square[place.top : place.bottom, place.left : place.right] = inner
    return square


def _resized(
    array: NDArray[np.uint8], width: int, height: int, how: Image.Resampling
) -> NDArray[np.uint8]:
    if array.shape[:2] == (height, width):
        return array.copy()
    return np.array(Image.fromarray(np.ascontiguousarray(array)).resize((width, height), how))
