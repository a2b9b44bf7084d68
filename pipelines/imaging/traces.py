"""Traces of how a picture came to be: by which scanner, export and editing, not what it shows.

Pictures of one origin (a hospital, a scanner, somebody's script) share them: how large the files
are, whether they are stored in colour, how hard they were compressed, how wide the dark border
is and how clean, how bright and how sharp the picture is. `pipelines.data.source_clusters` finds
the origins again from them.
"""

import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

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
    grey = np.asarray(Image.fromarray(picture).convert("L"), np.float32)
    top, left = max(0, (height - SIDE) // 2), max(0, (width - SIDE) // 2)
    middle = grey[top : top + SIDE, left : left + SIDE]
    found = [
        math.log2(width),
        math.log2(height),
        math.log2(width / height),
        *_file(data, pixels=width * height),
        float(np.ptp(picture.astype(np.int16), axis=2).mean()),
        _blocking(middle),
        *_borders(grey),
        *_corners(grey),
        *_shades(grey),
        *_sharpness(middle),
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


def _blocking(grey: Grey) -> float:
    """How much more shades jump between a JPEG's blocks than inside them, logarithmic."""
    jumps = np.abs(np.diff(grey, axis=1)).mean(axis=0)
    between = np.arange(1, len(jumps) + 1) % BLOCK == 0
    if not between.any() or between.all():
        return 0.0
    return math.log2((jumps[between].mean() + SPECK) / (jumps[~between].mean() + SPECK))


def _borders(grey: Grey) -> list[float]:
    """How far the dark border reaches in from each side, as a share of the picture."""
    lit = grey > BORDER * max(float(np.percentile(grey, 99)), 1.0)
    rows, columns = lit.mean(axis=1) > BORDER / 2, lit.mean(axis=0) > BORDER / 2
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


def _shades(grey: Grey) -> list[float]:
    """Shares of wholly black and white pixels; quartiles of the shades that are not black."""
    lit = grey[grey > 0]
    quartiles = np.percentile(lit, (25, 50, 75)) if lit.size else np.zeros(3)
    return [float((grey == 0).mean()), float((grey == 255).mean()), *(quartiles / 255)]


def _sharpness(grey: Grey) -> list[float]:
    """Noise (Immerkaer 1996), and the energy of fine detail against that of coarse."""
    noise = _noise(grey)
    spectrum = np.abs(np.fft.rfft2(grey - grey.mean())) ** 2
    rows, columns = np.fft.fftfreq(grey.shape[0]), np.fft.rfftfreq(grey.shape[1])
    reach = 2 * np.hypot(rows[:, None], columns[None, :])
    bands = [
        spectrum[(reach >= low) & (reach < high)]
        for low, high in zip((0.0, *BANDS), BANDS, strict=False)
    ]
    # A picture of a few pixels has no such frequencies; its lowest band always has one.
    coarse = float(bands[0].mean()) + SPECK
    detail = [
        math.log2((float(band.mean()) + SPECK) / coarse) if band.size else 0.0 for band in bands[1:]
    ]
    return [math.log2(1 + noise), *detail]


def _noise(grey: Grey) -> float:
    """Standard deviation of the noise: Immerkaer, "Fast noise variance estimation", 1996; 0 of a
    picture with a side of less than three pixels."""
    if min(grey.shape) < 3:
        return 0.0
    across = grey[:, :-2] - 2 * grey[:, 1:-1] + grey[:, 2:]
    both = across[:-2] - 2 * across[1:-1] + across[2:]
    return float(np.abs(both).mean()) * math.sqrt(math.pi / 2) / 6
