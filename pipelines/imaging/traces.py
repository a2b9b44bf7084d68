"""Traces of how a picture came to be: by which scanner, export and editing, not what it shows.

Pictures of one origin (a hospital, a scanner, somebody's script) share them: how large the files
are, whether they are stored in colour, how hard they were compressed, how wide the dark border
is and how clean, how bright and how sharp the picture is. `pipelines.data.split.source_clusters`
finds the origins again from them.
"""

import io
import math
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipelines.imaging.histogram import Counts, levels, percentile

TRACES = (
    "width",
    "height",
    "aspect",
    "colour",
    "quantisation",
    "bits_per_pixel",
    "tint",
    "blocking",
    "border_top",
    "border_bottom",
    "border_left",
    "border_right",
    "background",
    "background_noise",
    "black",
    "white",
    "dim",
    "middle",
    "bright",
    "noise",
    "fine",
    "finer",
    "finest",
)
"""What each number of `traces` is, in their order."""
DIGITS = 3
BLOCK = 8
"""Side of a JPEG's blocks in pixels."""
SIDE = 512
"""Most pixels of a side, around the middle, in which sharpness and noise are looked for."""
CORNER = 16
"""A corner is this part of each side."""
BORDER = 0.1
"""Share of the bright level (99 % quantile) that a row or column stays under in a border."""
BANDS = (0.25, 0.5, 0.75, 1.0)
"""Bounds of the bands of spatial frequency, as shares of the highest there is."""
SPECK = 1e-6

Shades = NDArray[np.uint8]
Grey = NDArray[np.float32]


def traces(data: bytes, picture: NDArray[np.uint8]) -> list[float]:
    """The traces of how a picture was made.

    Args:
        data: the file.
        picture: the same, decoded: uint8 (height, width, 3).

    Returns:
        As many numbers as `TRACES` has names, rounded to three digits; sizes and energies are
        logarithms, so that twice is as far from once as once from half. All are finite: a picture
        too small to have noise or fine detail has 0.
    """
    height, width = picture.shape[:2]
    luma = Image.fromarray(picture).convert("L")
    shades, (counts,) = np.asarray(luma), levels(luma)
    grey = shades.astype(np.float32)
    top, left = max(0, (height - SIDE) // 2), max(0, (width - SIDE) // 2)
    middle = (slice(top, top + SIDE), slice(left, left + SIDE))
    found = [
        math.log2(width),
        math.log2(height),
        math.log2(width / height),
        *_file(data, pixels=width * height),
        _tint(picture),
        _blocking(shades[middle]),
        *_borders(shades, counts),
        *_corners(grey),
        *_shades(counts),
        *_sharpness(grey[middle]),
    ]
    return [round(float(value), DIGITS) for value in found]


def _file(data: bytes, *, pixels: int) -> tuple[float, float, float]:
    """Whether it is stored in colour, its JPEG's mean quantisation step, its bits a pixel."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            colour = float(len(image.getbands()) > 1)
            tables = getattr(image, "quantization", None) or {}
    except OSError:  # DICOM
        colour, tables = 0.0, {}
    step = math.log2(np.mean(tables[min(tables)])) if tables else 0.0
    return colour, step, math.log2(8 * len(data) / pixels)


def _tint(picture: NDArray[np.uint8]) -> float:
    """Mean difference between the largest and the smallest channel of a pixel."""
    red, green, blue = cv2.split(picture)
    largest = np.maximum(np.maximum(red, green), blue)
    smallest = np.minimum(np.minimum(red, green), blue)
    return float(cv2.sumElems(largest - smallest)[0] / largest.size)


def _blocking(grey: Shades) -> float:
    """How much more shades jump between a JPEG's blocks than inside them, logarithmic."""
    left, right = grey[:, :-1], grey[:, 1:]
    jumps = np.maximum(left, right) - np.minimum(left, right)
    between = np.arange(1, jumps.shape[1] + 1) % BLOCK == 0
    if not between.any() or between.all():
        return 0.0
    means = _sums(jumps, axis=0).astype(np.float32) / np.float32(len(jumps))
    return math.log2((means[between].mean() + SPECK) / (means[~between].mean() + SPECK))


def _sums(values: Shades, *, axis: int) -> NDArray[np.int32]:
    """Sums along an axis of a picture."""
    return np.ravel(cv2.reduce(values, axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S))


def _borders(grey: Shades, counts: Counts) -> list[float]:
    """How far the dark border reaches in from each side, as a share of the picture."""
    bright = percentile(counts, 99, precision=np.float32)
    lit = grey > math.floor(np.float32(BORDER * max(bright, 1.0)))
    lit_shares = (_sums(lit.view(np.uint8), axis=axis) / lit.shape[axis] for axis in (1, 0))
    rows, columns = (share > BORDER / 2 for share in lit_shares)
    return [_dark(rows), _dark(rows[::-1]), _dark(columns), _dark(columns[::-1])]


def _dark(lit: NDArray[np.bool_]) -> float:
    return float(lit.argmax() if lit.any() else len(lit)) / len(lit)


def _corners(grey: Grey) -> list[float]:
    """Shade and noise of the darkest corner: what the scanner shows where nothing is."""
    height, width = (max(2, side // CORNER) for side in grey.shape)
    corners = [
        grey[rows, columns]
        for rows in (slice(height), slice(-height, None))
        for columns in (slice(width), slice(-width, None))
    ]
    darkest = min(corners, key=lambda corner: float(corner.mean()))
    return [math.log2(1 + float(darkest.mean())), math.log2(1 + float(darkest.std()))]


def _shades(counts: Counts) -> list[float]:
    """Shares of wholly black and white pixels; quartiles of the shades that are not black."""
    lit = counts.copy()
    lit[0] = 0
    quartiles = [percentile(lit, part) if lit.any() else 0.0 for part in (25, 50, 75)]
    black, white = (int(counts[shade]) / int(counts.sum()) for shade in (0, 255))
    return [black, white, *(quartile / 255 for quartile in quartiles)]


def _sharpness(grey: Grey) -> list[float]:
    """Noise (Immerkaer 1996), and the energy of fine detail against that of coarse."""
    noise = _noise(grey)
    spectrum = (np.abs(np.fft.rfft2(grey - grey.mean())) ** 2).ravel()
    coarsest, *finer = (spectrum[band] for band in _bands(*grey.shape))
    # A picture of a few pixels has no such frequencies; its lowest band always has one.
    coarse = float(coarsest.mean()) + SPECK
    detail = [
        math.log2((float(band.mean()) + SPECK) / coarse) if band.size else 0.0 for band in finer
    ]
    return [math.log2(1 + noise), *detail]


@lru_cache(maxsize=8)
def _bands(height: int, width: int) -> list[NDArray[np.intp]]:
    """Where the frequencies of each band are in the flat spectrum of a picture of that size."""
    rows, columns = np.fft.fftfreq(height), np.fft.rfftfreq(width)
    reach = 2 * np.hypot(rows[:, None], columns[None, :])
    bounds = zip((0.0, *BANDS), BANDS, strict=False)
    return [np.flatnonzero((reach >= low) & (reach < high)) for low, high in bounds]


def _noise(grey: Grey) -> float:
    """Standard deviation of the noise: Immerkaer, "Fast noise variance estimation", 1996; 0 of a
    picture with a side of less than three pixels."""
    if min(grey.shape) < 3:
        return 0.0
    across = grey[:, :-2] - 2 * grey[:, 1:-1] + grey[:, 2:]
    both = across[:-2] - 2 * across[1:-1] + across[2:]
    return float(np.abs(both).mean()) * math.sqrt(math.pi / 2) / 6
