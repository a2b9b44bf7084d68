"""Near duplicates: files that differ, but show one and the same picture.

Collections hold copies that were saved again, made brighter, sharpened, mirrored or turned
upside down; no checksum finds those. Two steps find them:

1. Perceptual hashes of all pairs, in four poses, tell which might be copies (exact: no pair
   within the distance is missed).
2. Their thumbnails, normalised for local contrast (Pinto, Cox and DiCarlo 2008, "Why is
   Real-World Visual Object Recognition Hard?"), are correlated. That hardly changes with
   brightness, contrast or sharpness, but does between neighbouring slices of one scan.

How the thresholds were found: ``docs/decisions/near-duplicates.md``.
"""

from collections.abc import Iterable
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.progress import track
from pipelines.spec import DuplicatesSpec

SIDE = 32
LOW = 8
POSES: Final = {
    "same": (1, 1),
    "mirrored": (1, -1),
    "upside down": (-1, 1),
    "turned by 180°": (-1, -1),
}
"""Pose → step through (rows, columns) that shows it."""
SIGMA = 2.0
"""How far local contrast reaches, in pixels of the thumbnail."""
NOISE = 4.0
"""Contrast, in shades, below which it is not raised any further."""
BLOCK_PAIRS = 1 << 23
CHUNK_PAIRS = 1 << 13

Thumbnails = NDArray[np.uint8]


def stacked(contents: Iterable[bytes]) -> Thumbnails:
    """Thumbnails as tables keep them, together: uint8 (n, 32, 32)."""
    return np.frombuffer(b"".join(contents), np.uint8).reshape(-1, SIDE, SIDE)


def near_pairs(thumbnails: Thumbnails, rule: DuplicatesSpec) -> pd.DataFrame:
    """All pairs of pictures that show the same.

    Args:
        thumbnails: uint8 (n, 32, 32), of n different files.
        rule: most differing bits, and least correlation.

    Returns:
        One row a pair, in order: ``first`` < ``second`` (positions in ``thumbnails``),
        ``distance`` (bits), ``correlation`` (-1 to 1), ``pose`` in which the second shows the
        first.
    """
    hashes = posed_hashes(thumbnails)
    pictures = normalised(thumbnails)
    work = [(pose, block) for pose in POSES for block in _blocks(len(thumbnails))]
    found = [
        _closer(*_hash_pairs(hashes, pose, block, rule.hash_distance), pose, pictures, rule)
        for pose, block in track(work, total=len(work), what="Comparing pictures")
    ]
    columns = ["first", "second", "distance", "correlation", "pose"]
    pairs = pd.concat(found) if found else pd.DataFrame(columns=columns)
    best = pairs.sort_values("correlation", ascending=False, kind="stable")
    once = best.drop_duplicates(["first", "second"])
    return once.sort_values(["first", "second"]).reset_index(drop=True)


def posed_hashes(thumbnails: Thumbnails) -> dict[str, NDArray[np.uint64]]:
    """The 64-bit perceptual hashes of images in each of the `POSES`: which of the 8 x 8 lowest
    frequencies of the discrete cosine transform are above their median, row by row, the first one
    in the highest bit (Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash
    Functions", section 3.2.1).

    Mirroring a picture only turns the signs of its odd horizontal frequencies, turning it
    upside down those of its odd vertical ones; so one transform serves all poses.
    """
    from scipy.fft import dctn

    frequencies = dctn(thumbnails.astype(np.float64), axes=(1, 2))[:, :LOW, :LOW]
    frequencies = np.round(frequencies, 3)
    index = np.arange(LOW)
    return {
        pose: _bits(frequencies * (rows**index)[:, None] * (columns**index)[None, :])
        for pose, (rows, columns) in POSES.items()
    }


def _bits(frequencies: NDArray[np.float64]) -> NDArray[np.uint64]:
    flat = frequencies.reshape(len(frequencies), LOW * LOW)
    bits = flat > np.median(flat, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(">u8").ravel().astype(np.uint64)


def normalised(thumbnails: Thumbnails) -> NDArray[np.float32]:
    """Thumbnails with every region's mean and contrast made alike, as unit vectors.

    Args:
        thumbnails: uint8 (n, 32, 32).

    Returns:
        float32 (n, 32, 32); the sum of products of two is their correlation.
    """
    from scipy.ndimage import gaussian_filter

    def around(values: NDArray[np.float32]) -> NDArray[np.float32]:
        smooth: NDArray[np.float32] = gaussian_filter(values, (0, SIGMA, SIGMA), mode="reflect")
        return smooth

    shades = thumbnails.astype(np.float32)
    detail = shades - around(shades)
    even = detail / (np.sqrt(around(detail**2)) + NOISE)
    even -= even.mean(axis=(1, 2), keepdims=True)
    length = np.sqrt((even**2).sum(axis=(1, 2), keepdims=True))
    unit: NDArray[np.float32] = even / np.maximum(length, np.finfo(np.float32).tiny)
    return unit


def _blocks(count: int) -> list[range]:
    """Rows of the upper triangle of all pairs, so many at a time that memory is bounded."""
    blocks = []
    start = 0
    while start < count:
        rows = max(1, BLOCK_PAIRS // (count - start))
        blocks.append(range(start, min(start + rows, count)))
        start += rows
    return blocks


def _hash_pairs(
    hashes: dict[str, NDArray[np.uint64]], pose: str, block: range, distance: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.uint8]]:
    """Pairs first < second, first in ``block``, of hashes at most ``distance`` bits apart."""
    mine, others = hashes["same"][block.start : block.stop], hashes[pose][block.start :]
    bits = np.bitwise_count(mine[:, None] ^ others[None, :])
    first, second = np.nonzero(bits <= distance)
    later = first < second
    first, second = first[later], second[later]
    return first + block.start, second + block.start, bits[first, second]


def _closer(
    first: NDArray[np.intp],
    second: NDArray[np.intp],
    distance: NDArray[np.uint8],
    pose: str,
    pictures: NDArray[np.float32],
    rule: DuplicatesSpec,
) -> pd.DataFrame:
    rows, columns = POSES[pose]
    correlation = np.empty(len(first), np.float32)
    for start in range(0, len(first), CHUNK_PAIRS):
        part = slice(start, start + CHUNK_PAIRS)
        posed = pictures[second[part]][:, ::rows, ::columns]
        correlation[part] = np.einsum("nij,nij->n", pictures[first[part]], posed)
    same = correlation >= rule.correlation
    return pd.DataFrame(
        {
            "first": first[same],
            "second": second[same],
            "distance": distance[same],
            "correlation": correlation[same],
            "pose": pose,
        }
    )
