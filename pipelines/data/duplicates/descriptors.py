"""Descriptors of thumbnails: perceptual hashes in four poses, and local contrast.

Hashes select candidates. Then thumbnails are normalised for local contrast (Pinto, Cox and DiCarlo
2008, "Why is Real-World Visual Object Recognition Hard?") and correlated. The correlation hardly
changes with brightness, contrast or sharpness, but differs between neighbouring slices of one scan.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

SIDE = 32
LOW = 8
POSES: Final = {
    "same": (1, 1),
    "mirrored": (1, -1),
    "upside down": (-1, 1),
    "turned by 180°": (-1, -1),
}
"""Pose → steps through (rows, columns). The number of a pose has one bit per flip, so two poses in
sequence are the pose with the exclusive or of their numbers."""
SIGMA = 2.0
"""Standard deviation of the Gaussian for local contrast, in pixels of the thumbnail."""
CONTRAST_FLOOR = 4.0
"""Added to the local contrast, in grey levels, so that noise is not amplified."""
CHUNK = 1 << 11
"""Thumbnails that are transformed at a time: 16 MB as float64."""
CHUNK_PAIRS = 1 << 13
MAX_NORMALISED = 50_000
"""Most thumbnails to normalise at once: 200 MB."""

Thumbnails = NDArray[np.uint8]
Positions = NDArray[np.intp]
Candidates = tuple[Positions, Positions, NDArray[np.uint8]]
"""Positions first < second, and the number of the pose in which the second shows the first."""


def stacked(contents: Iterable[bytes]) -> Thumbnails:
    """Thumbnails of 1,024 bytes each as one array: uint8 (n, 32, 32)."""
    # NumPy drops zeros at the end of a string, and fills strings up with zeros.
    each = np.fromiter(contents, f"S{SIDE * SIDE}")
    return each.view(np.uint8).reshape(-1, SIDE, SIDE)


def posed_hashes(thumbnails: Thumbnails) -> NDArray[np.uint64]:
    """The 64-bit perceptual hashes of images in each of the `POSES`, uint64 (n, 4).

    A bit tells whether one of the 8 x 8 lowest frequencies of the discrete cosine transform is
    above their median, row by row, the first one in the highest bit (Zauner 2010, "Implementation
    and Benchmarking of Perceptual Image Hash Functions", section 3.2.1).

    Mirroring an image changes only the signs of its odd horizontal frequencies, and turning it
    upside down those of its odd vertical ones. So one transform is enough for all poses.
    """
    from scipy.fft import dctn

    index, hashes = np.arange(LOW), np.empty((len(thumbnails), len(POSES)), np.uint64)
    for part in _chunks(len(thumbnails)):
        frequencies = dctn(thumbnails[part].astype(np.float64), axes=(1, 2))[:, :LOW, :LOW]
        frequencies = np.round(frequencies, 3)
        for number, (rows, columns) in enumerate(POSES.values()):
            signs = (rows**index)[:, None] * (columns**index)[None, :]
            hashes[part, number] = _bits(frequencies * signs)
    return hashes


def _bits(frequencies: NDArray[np.float64]) -> NDArray[np.uint64]:
    flat = frequencies.reshape(len(frequencies), LOW * LOW)
    bits = flat > np.median(flat, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(">u8").ravel().astype(np.uint64)


def normalised(thumbnails: Thumbnails) -> NDArray[np.float32]:
    """Thumbnails with equal local mean and contrast, as unit vectors.

    Args:
        thumbnails: uint8 (n, 32, 32).

    Returns:
        float32 (n, 32, 32); the dot product of two is their correlation. A flat thumbnail becomes
        zeros.
    """
    from scipy.ndimage import gaussian_filter

    def around(values: NDArray[np.float32]) -> NDArray[np.float32]:
        smooth: NDArray[np.float32] = gaussian_filter(values, (0, SIGMA, SIGMA), mode="reflect")
        return smooth

    unit = np.empty(thumbnails.shape, np.float32)
    for part in _chunks(len(thumbnails)):
        shades = thumbnails[part].astype(np.float32)
        detail = shades - around(shades)
        normalised_detail = detail / (np.sqrt(around(detail**2)) + CONTRAST_FLOOR)
        normalised_detail -= normalised_detail.mean(axis=(1, 2), keepdims=True)
        length = np.sqrt((normalised_detail**2).sum(axis=(1, 2), keepdims=True))
        unit[part] = normalised_detail / np.maximum(length, np.finfo(np.float32).tiny)
    return unit


def _chunks(count: int) -> Iterator[slice]:
    """Parts of an array whose intermediate results are a few tens of megabytes."""
    return (slice(start, start + CHUNK) for start in range(0, count, CHUNK))


def correlations(
    thumbnails: Thumbnails, first: Positions, second: Positions, pose: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Correlation of pairs of thumbnails, the second of each turned into its pose.

    With more than `MAX_NORMALISED` thumbnails, pairs are processed in chunks. Pairs that are sorted
    by ``first`` are then fastest.

    Args:
        thumbnails: uint8 (n, 32, 32).
        first: positions in ``thumbnails``, (pairs,).
        second: likewise.
        pose: number of the pose in `POSES`, (pairs,).
    """
    found = np.empty(len(first), np.float32)
    # Normalising a thumbnail costs as much as ten comparisons.
    is_dense = 2 * len(first) > len(thumbnails)
    whole = normalised(thumbnails) if is_dense and len(thumbnails) <= MAX_NORMALISED else None
    for start in range(0, len(first), CHUNK_PAIRS):
        part = slice(start, start + CHUNK_PAIRS)
        one, other, images = first[part], second[part], whole
        if images is None:
            used, index = np.unique(np.concatenate([one, other]), return_inverse=True)
            one, other = np.split(index, 2)
            images = normalised(thumbnails[used])
        turned = images[other]
        for number, (rows, columns) in enumerate(POSES.values()):
            posed = pose[part] == number
            turned[posed] = turned[posed][:, ::rows, ::columns]
        found[part] = np.einsum("nij,nij->n", images[one], turned)
    return found
