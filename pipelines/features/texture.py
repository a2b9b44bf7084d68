"""Shades and texture of a grey picture, as radiomics counts them: handmade features.

First-order statistics look at the shades alone; those of Haralick et al. 1973 (Textural features
for image classification) at how often two shades lie side by side; Tamura et al. 1978 (Textural
features corresponding to visual perception) measure how large the patches are.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

LEVELS = 32
"""Shades that are told apart side by side: 256 would leave the table of pairs almost empty."""
DIRECTIONS = ((0, 1), (1, 1), (1, 0), (1, -1))
"""Steps from a pixel to its neighbour (rows, columns): 0, 45, 90 and 135 degrees."""
SCALES = 5
"""Patches of 2 to 2^5 pixels are told apart."""

FIRST_ORDER = ("mean", "variance", "std", "skewness", "kurtosis")
CO_OCCURRENCE = (
    *("contrast", "dissimilarity", "homogeneity", "asm", "energy", "entropy", "correlation"),
)
NAMES = (*FIRST_ORDER, *CO_OCCURRENCE, "coarseness")
"""Of the numbers that `describe` gives, in its order."""

Grey = NDArray[np.uint8]
Floats = NDArray[np.float64]


def describe(grey: Grey) -> NDArray[np.float32]:
    """All of `NAMES` for one picture.

    Args:
        grey: uint8 (height, width), both at least 2.

    Returns:
        float32 (13,)
    """
    numbers = np.concatenate([first_order(grey), co_occurrence(grey), [coarseness(grey)]])
    return numbers.astype(np.float32)


def first_order(grey: Grey) -> Floats:
    """`FIRST_ORDER` of the shades, 0 to 255; kurtosis is 0 for a normal distribution.

    Skewness and kurtosis of a picture of one shade are 0.
    """
    shades = grey.astype(np.float64)
    mean, std = shades.mean(), shades.std()
    standard = (shades - mean) / (std or 1)
    skewness = (standard**3).mean()
    kurtosis = (standard**4).mean() - 3 if std else 0.0
    return np.array([mean, std**2, std, skewness, kurtosis])


def co_occurrence(grey: Grey) -> Floats:
    """`CO_OCCURRENCE` of neighbouring shades (in `LEVELS`), the mean over four directions.

    Entropy is in bits; correlation is 1 for a picture of one shade.
    """
    pairs = co_occurrence_matrices(grey)
    level = np.arange(LEVELS)
    gap = np.abs(level[:, None] - level[None, :])
    asm = (pairs**2).sum(axis=(1, 2))
    logs = np.log2(pairs, out=np.zeros_like(pairs), where=pairs > 0)
    numbers = [
        (pairs * gap**2).sum(axis=(1, 2)),
        (pairs * gap).sum(axis=(1, 2)),
        (pairs / (1 + gap**2)).sum(axis=(1, 2)),
        asm,
        np.sqrt(asm),
        -(pairs * logs).sum(axis=(1, 2)),
        _correlation(pairs, level),
    ]
    return np.asarray(np.mean(numbers, axis=1), np.float64)


def co_occurrence_matrices(grey: Grey) -> Floats:
    """How often each two shades are neighbours, for each of `DIRECTIONS`.

    Returns:
        (4, LEVELS, LEVELS), symmetric; each matrix sums to 1.
    """
    shades = grey.astype(np.intp) * LEVELS // 256
    matrices = []
    for down, right in DIRECTIONS:
        first, second = _neighbours(shades, down, right)
        codes = (first * LEVELS + second).ravel()
        counts = np.bincount(codes, minlength=LEVELS**2).reshape(LEVELS, LEVELS)
        both = counts + counts.T
        matrices.append(both / both.sum())
    return np.stack(matrices)


def _neighbours(
    shades: NDArray[np.intp], down: int, right: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    height, width = shades.shape
    rows, moved_rows = slice(0, height - down), slice(down, height)
    if right < 0:
        return shades[rows, -right:], shades[moved_rows, :right]
    return shades[rows, : width - right], shades[moved_rows, right:]


def _correlation(pairs: Floats, level: NDArray[np.intp]) -> Floats:
    """Both margins of a symmetric matrix are one distribution."""
    margin = pairs.sum(axis=2)
    mean = margin @ level
    variance = margin @ level**2 - mean**2
    product = np.einsum("dij,i,j->d", pairs, level, level)
    flat = variance < 1e-12
    return np.where(flat, 1.0, (product - mean**2) / np.where(flat, 1.0, variance))


def coarseness(grey: Grey) -> float:
    """Tamura's coarseness: the mean over pixels of the patch size, in pixels, at which the means
    of the two patches on either side differ most. From 2 (fine, or of one shade) to 32."""
    shades = grey.astype(np.float64)
    differences = []
    for scale in range(1, SCALES + 1):
        half = 2 ** (scale - 1)
        mean = cv2.blur(shades, (2 * half, 2 * half))
        most = np.zeros_like(shades)
        inner = np.abs(mean[:, 2 * half :] - mean[:, : -2 * half])
        most[:, half:-half] = inner
        inner = np.abs(mean[2 * half :] - mean[: -2 * half])
        most[half:-half] = np.maximum(most[half:-half], inner)
        differences.append(most)
    return float((2.0 ** (1 + np.argmax(differences, axis=0))).mean())
