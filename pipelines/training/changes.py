"""Changes of one image by given amounts, in OpenCV's arithmetic.

An image is uint8, (side, side, 3), or (side, side) where its channels are alike.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

QUARTERS = 4
LEVELS = np.arange(256)
Image = NDArray[np.uint8]
Floats = NDArray[np.floating]


def lean(image: Image) -> Image:
    """One channel instead of three where they are alike: a third of the work."""
    first, *others = cv2.split(image)
    alike = all(np.array_equal(first, other) for other in others)
    return np.asarray(first, np.uint8) if alike else image


def whole(image: Image) -> Image:
    """Three channels again, after `lean`."""
    return image if image.ndim == 3 else np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2RGB))


def poses(*, degrees: Floats, scale: Floats, shift: Floats, mirror: NDArray[np.integer]) -> Floats:
    """Where each pixel comes from, for `posed`: (n, 2, 3), in sides from the image's middle.

    Args:
        degrees: (n,) how far each image is turned.
        scale: (n,) how many times as large things get.
        shift: (n, 2) moved across and down, in sides.
        mirror: (n,) -1 to mirror left and right, else 1.
    """
    angle = np.radians(degrees)
    cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
    turns = np.array([[cos * mirror, -sin], [sin * mirror, cos]]).transpose(2, 0, 1)
    return np.concatenate([turns, shift[..., None]], axis=2)


def posed(image: Image, pose: Floats) -> Image:
    """Move, turn, scale and mirror in one resampling; what comes from outside is black."""
    side = len(image)
    middle = (side - 1) / 2
    to_source = pose.copy()
    to_source[:, 2] = middle + side * pose[:, 2] - pose[:, :2].sum(axis=1) * middle
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(image, to_source, (side, side), flags=how), np.uint8)


def sharpened(image: Image, share: float) -> Image:
    """Take off a share of the picture at half its resolution (unsharp masking); mix it in to
    soften where the share is negative."""
    side = len(image)
    half = cv2.resize(image, (side // 2, side // 2), interpolation=cv2.INTER_AREA)
    coarse = cv2.resize(half, (side, side))
    return np.asarray(cv2.addWeighted(image, 1 + share, coarse, -share, 0), np.uint8)


def tone_curves(
    *, exponent: Floats, stretch: Floats, contrast: Floats, brightness: Floats
) -> NDArray[np.uint8]:
    """What becomes of each of the 256 grey levels: (n, 256), for `toned`.

    Args:
        exponent: (n,) of the tones (gamma).
        stretch: (n, quarters) how far each quarter of the tones is stretched or pressed beside
            the others: the histogram is bent; order and ends stay.
        contrast: (n,) what levels are multiplied by then.
        brightness: (n,) what is added at last, in grey levels.
    """
    tones = QUARTERS * (LEVELS / 255) ** exponent[:, None]
    within = np.clip(tones[:, None] - np.arange(QUARTERS)[:, None], 0, 1)  # (n, quarters, 256)
    bent = 255 * np.einsum("nq,nql->nl", stretch, within) / stretch.sum(axis=1, keepdims=True)
    changed = bent * contrast[:, None] + brightness[:, None]
    return np.asarray(np.rint(changed).clip(0, 255), np.uint8)


def toned(image: Image, curve: NDArray[np.uint8]) -> Image:
    """Look every level up in one of `tone_curves`."""
    return np.asarray(cv2.LUT(image, curve), np.uint8)


def grained(
    image: Image, field: NDArray[np.float32], corner: NDArray[np.integer], *, deviation: float
) -> Image:
    """Add grey noise: the part of a field of noise that begins at a corner, row and column."""
    side, (top, left) = len(image), corner
    grain = field[top : top + side, left : left + side] * np.float32(deviation)
    if image.ndim == 3:
        grain = np.asarray(cv2.cvtColor(grain, cv2.COLOR_GRAY2RGB), np.float32)
    return np.asarray(cv2.add(image, grain, dtype=cv2.CV_8U), np.uint8)


def packed(image: Image, *, quality: int) -> Image:
    """Pack as JPEG and unpack."""
    as_stored = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, file = cv2.imencode(".jpg", as_stored, [cv2.IMWRITE_JPEG_QUALITY, quality])
    how = cv2.IMREAD_GRAYSCALE if image.ndim == 2 else cv2.IMREAD_COLOR_RGB
    return np.asarray(cv2.imdecode(file, how), np.uint8)


def hidden(image: Image, place: Floats, *, share: float) -> Image:
    """Black out a square (DeVries & Taylor 2017, arXiv 1708.04552).

    Args:
        image: changed in place.
        place: of the square's middle, down and across, from -1 to 1.
        share: side of the square, of the image's.
    """
    side = len(image)
    middle, half = (1 + np.asarray(place)) / 2 * side, share * side / 2
    top, left = np.rint(middle - half).clip(0).astype(int)
    bottom, right = np.rint(middle + half).astype(int)
    image[top:bottom, left:right] = 0
    return image
