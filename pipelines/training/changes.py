"""Changes of one image, (side, side, 3) uint8, each by given amounts; OpenCV's arithmetic."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

QUARTERS = 4
Image = NDArray[np.uint8]
LEVELS = np.arange(256, dtype=np.float32)


@dataclass(frozen=True)
class Pose:
    """How an image is turned, scaled, moved and mirrored."""

    degrees: float
    scale: float
    across: float
    """Share of the side, like ``down``."""
    down: float
    mirrored: bool


def posed(image: Image, pose: Pose) -> Image:
    """Move, turn, scale and mirror in one resampling; what comes from outside is black."""
    side = len(image)
    angle, middle = math.radians(pose.degrees), (side - 1) / 2
    cos, sin = math.cos(angle) / pose.scale, math.sin(angle) / pose.scale
    mirror = -1 if pose.mirrored else 1
    turn = np.array([[cos * mirror, -sin], [sin * mirror, cos]])
    shift = middle + side * np.array([pose.across, pose.down]) - turn.sum(axis=1) * middle
    to_source = np.column_stack([turn, shift])
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(image, to_source, (side, side), flags=how), np.uint8)


def sharpened(image: Image, share: float) -> Image:
    """Take off a share of the picture at half its resolution (unsharp masking); mix it in to
    soften where the share is negative."""
    side = len(image)
    half = cv2.resize(image, (side // 2, side // 2), interpolation=cv2.INTER_AREA)
    coarse = cv2.resize(half, (side, side))
    return np.asarray(cv2.addWeighted(image, 1 + share, coarse, -share, 0), np.uint8)


def tone_curve(
    *, exponent: float, stretches: NDArray[np.float64], contrast: float, brightness: float
) -> Image:
    """What becomes of each of the 256 grey levels.

    Args:
        exponent: of the tones (gamma).
        stretches: how far each quarter of the tones is stretched or pressed beside the others:
            the histogram is bent; order and ends stay.
        contrast: what levels are multiplied by then.
        brightness: what is added at last, in grey levels.
    """
    tones = 255 * (LEVELS / 255) ** exponent
    ends = np.append(0, np.cumsum(stretches)) / np.sum(stretches)
    bent = np.interp(tones, np.linspace(0, 255, len(ends)), 255 * ends)
    return np.clip(np.rint(bent * contrast + brightness), 0, 255).astype(np.uint8)


def toned(image: Image, curve: Image) -> Image:
    """Look every level up in a `tone_curve`."""
    return np.asarray(cv2.LUT(image, curve), np.uint8)


def grained(image: Image, grain: NDArray[np.float32]) -> Image:
    """Add grey noise, in grey levels; the field is as large as the image or larger."""
    side = len(image)
    grey = np.ascontiguousarray(grain[:side, :side])
    added = cv2.add(image, cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), dtype=cv2.CV_8U)
    return np.asarray(added, np.uint8)


def packed(image: Image, *, quality: int) -> Image:
    """Pack as JPEG and unpack."""
    _, file = cv2.imencode(
        ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    return np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR_RGB), np.uint8)


def hidden(image: Image, place: tuple[float, float], *, share: float) -> Image:
    """Black out a square (DeVries & Taylor 2017, arXiv 1708.04552).

    Args:
        image: changed in place.
        place: of the square's middle, down and across, from -1 to 1.
        share: side of the square, of the image's.
    """
    side = len(image)
    half = share * side / 2
    (top, bottom), (left, right) = (_span((1 + at) / 2 * side, half) for at in place)
    image[top:bottom, left:right] = 0
    return image


def _span(middle: float, half: float) -> tuple[int, int]:
    return max(0, round(middle - half)), round(middle + half)
