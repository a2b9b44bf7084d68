"""Near duplicates: files that differ, but show one and the same picture.

Collections hold copies that were saved again, made brighter, sharpened, mirrored or turned
upside down; no checksum finds those. Two steps find them:

1. Candidates: images whose perceptual hashes differ in few bits. Up to `EXACT` images, all pairs
   are compared; beyond, only those that agree in a band of their signatures.
2. The thumbnails of candidates, normalised for local contrast, are correlated.

How the thresholds were found, and what is missed: ``docs/decisions/near-duplicates.md``.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.data.duplicates import all_pairs, banded
from pipelines.data.duplicates.descriptors import (
    POSES,
    Candidates,
    Positions,
    Thumbnails,
    correlations,
    posed_hashes,
)
from pipelines.data.duplicates.signatures import bands_for
from pipelines.spec import DuplicatesSpec

EXACT = 50_000
"""Most images of which all pairs are compared: a minute on two cores."""
COLUMNS = ["first", "second", "distance", "correlation", "pose"]
_POSES = np.array(list(POSES), dtype=object)


def near_pairs(
    thumbnails: Thumbnails, rule: DuplicatesSpec, *, new: NDArray[np.bool_] | None = None
) -> pd.DataFrame:
    """Pairs of pictures that show the same.

    Args:
        thumbnails: uint8 (n, 32, 32), of n different files.
        rule: most differing bits, and least correlation.
        new: bool (n,), which images were not compared before: two that were are not compared
            again. By default, all are new.

    Returns:
        One row a pair, in order: ``first`` < ``second`` (positions in ``thumbnails``),
        ``distance`` (bits), ``correlation`` (-1 to 1), ``pose`` in which the second shows the
        first.
    """
    count = len(thumbnails)
    fresh = np.ones(count, np.bool_) if new is None else new
    if count <= EXACT:
        found = all_pairs.candidates(thumbnails, fresh, distance=rule.hash_distance)
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
    """Candidates without repetitions, sorted."""
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
