"""Near duplicates: different files that show the same picture.

Collections contain copies that were saved again, made brighter, sharpened, mirrored or turned
upside down, which no checksum finds. Two steps find them:

1. Candidates: images whose perceptual hashes differ in few bits. Up to `ALL_PAIRS_UP_TO` images,
   all pairs are compared; with more, only pairs that agree in a band of their signatures.
2. The thumbnails of candidates, normalised for local contrast, are correlated.

Thresholds and recall: ``docs/decisions/near-duplicates.md``.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.data.duplicates import banded
from pipelines.data.duplicates.banded import bands_for
from pipelines.data.duplicates.descriptors import (
    POSES,
    Candidates,
    Positions,
    Thumbnails,
    correlations,
    posed_hashes,
)
from pipelines.progress import track
from pipelines.spec import DuplicatesSpec

ALL_PAIRS_UP_TO = 50_000
"""Most images for comparing all pairs: a minute on two cores."""
COLUMNS = ["first", "second", "distance", "correlation", "pose"]
_POSES = np.array(list(POSES), dtype=object)


def near_pairs(
    thumbnails: Thumbnails, rule: DuplicatesSpec, *, new: NDArray[np.bool_] | None = None
) -> pd.DataFrame:
    """Pairs of near duplicates.

    Args:
        thumbnails: uint8 (n, 32, 32), of n different files.
        rule: thresholds.
        new: bool (n,), images that were not compared before; pairs of others are skipped. By
            default, all are new.

    Returns:
        One row per pair, sorted: ``first`` < ``second`` (positions in ``thumbnails``),
        ``distance`` (bits), ``correlation`` (-1 to 1), ``pose`` in which the second shows the
        first.
    """
    count = len(thumbnails)
    fresh = np.ones(count, np.bool_) if new is None else new
    if count <= ALL_PAIRS_UP_TO:
        found = all_candidates(thumbnails, fresh, distance=rule.hash_distance)
    else:
        found = banded.candidates(
            thumbnails, fresh, distance=rule.hash_distance, bands=bands_for(count)
        )
    first, second, pose = _each_once(found, count)
    correlation = correlations(thumbnails, first, second, pose)
    same = correlation >= rule.correlation
    first, second, pose = first[same], second[same], pose[same]
    pairs = pd.DataFrame(
        {
            "first": first,
            "second": second,
            "distance": _distances(thumbnails, first, second, pose),
            "correlation": correlation[same],
            "pose": _POSES[pose],
        }
    )
    return best(pairs)


def best(pairs: pd.DataFrame) -> pd.DataFrame:
    """Each pair once, in the pose with the largest correlation; sorted by position."""
    ordered = pairs.sort_values("correlation", ascending=False, kind="stable")
    once = ordered.drop_duplicates(["first", "second"])
    return once.sort_values(["first", "second"]).reset_index(drop=True)


def _each_once(
    found: Iterable[Candidates], count: int
) -> tuple[Positions, Positions, NDArray[np.uint8]]:
    """Unique candidates, sorted."""
    poses, gathered = len(POSES), np.empty(0, np.int64)
    for first, second, pose in found:
        if len(first):
            code = (first.astype(np.int64) * count + second) * poses + pose
            gathered = np.union1d(gathered, code)
    pair, pose = np.divmod(gathered, poses)
    first, second = np.divmod(pair, max(count, 1))
    return first.astype(np.intp), second.astype(np.intp), pose.astype(np.uint8)


def _distances(
    thumbnails: Thumbnails, first: Positions, second: Positions, pose: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    used, index = np.unique(np.concatenate([first, second]), return_inverse=True)
    hashes = posed_hashes(thumbnails[used])
    one, other = np.split(index, 2)
    return np.asarray(np.bitwise_count(hashes[one, 0] ^ hashes[other, pose]), np.uint8)


BLOCK_PAIRS = 1 << 23


def all_candidates(
    thumbnails: Thumbnails, new: NDArray[np.bool_], *, distance: int
) -> Iterator[Candidates]:
    """Pairs of images with similar hashes, at least one of them new. Compares all pairs.

    Args:
        thumbnails: uint8 (n, 32, 32).
        new: bool (n,).
        distance: most differing bits of the hashes.
    """
    hashes = posed_hashes(thumbnails)
    parts = blocks(new)
    work = [(pose, part) for pose in range(len(POSES)) for part in parts]
    for pose, (first, second) in track(work, total=len(work), what="Comparing images"):
        bits = np.bitwise_count(hashes[first, 0][:, None] ^ hashes[second, pose][None, :])
        row, column = np.nonzero((bits <= distance) & (first[:, None] < second[None, :]))
        yield first[row], second[column], np.full(len(row), pose, np.uint8)


def blocks(new: NDArray[np.bool_]) -> list[tuple[Positions, Positions]]:
    """Blocks of rows and columns to compare, so that memory is bounded.

    Each pair with a new image is in exactly one block, in order.
    """
    fresh, known = np.flatnonzero(new), np.flatnonzero(~new)
    everything = np.arange(len(new))
    found = []
    start = 0
    while start < len(fresh):
        left = everything[fresh[start] :]
        rows = max(1, BLOCK_PAIRS // len(left))
        found.append((fresh[start : start + rows], left))
        start += rows
    rows = max(1, BLOCK_PAIRS // max(len(fresh), 1))
    for start in range(0, len(known) if len(fresh) else 0, rows):
        found.append((known[start : start + rows], fresh))
    return found
