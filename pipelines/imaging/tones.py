"""What tells the source of a picture and not its content, taken away: background, tones, colour.

All of it is computed in whole numbers, so that training and service see the same.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipelines.imaging.body import body_mask
from pipelines.spec import ImageSpec

LOW, HIGH = 1, 99
"""Percentiles of the body's shades that become black and white."""
SHADES = 256


def even(array: NDArray[np.uint8], image: ImageSpec) -> NDArray[np.uint8]:
    """Do to a picture's tones what the spec asks for.

    Args:
        array: uint8 (height, width, 3).
        image: ``background``, ``intensity`` and ``colour`` of the data set's spec.

    Returns:
        uint8 (height, width, 3); the input itself is never changed, and may be what is returned.
    """
    even_toned = grey(array) if image.colour == "grey" else array
    if image.background == "keep" and image.intensity == "as_is":
        return even_toned
    body = body_mask(array)
    if image.intensity == "normalise":
        even_toned = normalise(even_toned, body)
    return without_background(even_toned, body) if image.background == "mask" else even_toned


def grey(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """All three channels the picture's grey shades (ITU-R 601 luma)."""
    return np.repeat(_luma(array)[..., None], 3, axis=2)


def without_background(array: NDArray[np.uint8], body: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The picture with all that is outside the body black.

    Args:
        array: uint8 (height, width, 3).
        body: bool (height, width).
    """
    return np.where(body[..., None], array, np.uint8(0))


def normalise(array: NDArray[np.uint8], body: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Stretch tones so that the 1st and 99th percentile of the body's grey become 0 and 255.

    The same stretch for every channel, so colours stay what they are to each other. What is
    beyond is black or white. A body of one shade is left as it is.

    Args:
        array: uint8 (height, width, 3).
        body: bool (height, width), true somewhere.
    """
    counts = np.bincount(_luma(array)[body], minlength=SHADES)
    reached = 100 * np.cumsum(counts)
    low, high = (int(np.argmax(reached >= percent * counts.sum())) for percent in (LOW, HIGH))
    if high <= low:
        return array
    shades = np.arange(SHADES, dtype=np.int64)
    stretched = (2 * (SHADES - 1) * (shades - low) + (high - low)) // (2 * (high - low))
    return stretched.clip(0, SHADES - 1).astype(np.uint8)[array]


def _luma(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(array).convert("L"))
