"""Clusters of images that must stay in one split: near duplicates, and images of one patient.

Near-duplication is not transitive: a resembles b, b resembles c, and so on, until z is another
picture. A chain through neighbouring slices could join half of a collection into one cluster. So
each member is compared with the medoid of its cluster, and members that do not correlate with it
are split off.

The images of a removed pair may be in different splits. They are still near duplicates, so the one
in training (or validation) is excluded as a leak: see `separate`.
"""

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.data.duplicates.descriptors import POSES, Positions, Thumbnails, correlations

MIN_CORRELATION = 0.90
"""Least correlation of a member with the medoid; the threshold of the pairs if that is lower."""
RANK: Final = {"train": 0, "validation": 1, "test": 2}
"""The split with the higher rank keeps its image."""


def links(pairs: pd.DataFrame, thumbnails: Thumbnails, *, correlation: float) -> pd.DataFrame:
    """Link each near duplicate to the medoid of its cluster.

    The medoid is the member whose pairs have the largest summed correlation; of equal ones, the
    first. Members that are split off are clustered again by their remaining pairs.

    Args:
        pairs: near duplicates, columns ``first``, ``second`` and ``correlation``.
        thumbnails: uint8 (n, 32, 32), ``pairs`` has positions in it.
        correlation: threshold of the pairs.

    Returns:
        One row per image with a medoid (which may be the image itself): ``first``, and its medoid
        as ``second``. Images without a row are not linked.
    """
    least = min(MIN_CORRELATION, correlation)
    left, found = pairs, [np.empty((0, 2), np.intp)]
    while len(left):
        ends = left[["first", "second"]].to_numpy(np.intp)
        nodes, index = np.unique(ends, return_inverse=True)
        one, other = index.reshape(-1, 2).T
        component = _components(one, other, len(nodes))
        medoid = _medoids(one, other, left["correlation"].to_numpy(float), component)
        alike = _best_correlations(thumbnails, nodes, nodes[medoid]) >= least
        alike[medoid] = True
        found.append(np.stack([nodes[alike], nodes[medoid][alike]], axis=1))
        left = left[~alike[one] & ~alike[other]]
    return pd.DataFrame(np.concatenate(found), columns=["first", "second"])


def _components(one: Positions, other: Positions, size: int) -> NDArray[np.int32]:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = coo_array((np.ones(len(one), np.int8), (one, other)), shape=(size, size))
    component: NDArray[np.int32] = connected_components(edges, directed=False)[1]
    return component


def _medoids(
    one: Positions,
    other: Positions,
    correlation: NDArray[np.float64],
    component: NDArray[np.int32],
) -> Positions:
    """For each node, the medoid of its component."""
    size = len(component)
    # Rounded, so that the order of summation does not change ranks.
    total = np.bincount(one, correlation, size) + np.bincount(other, correlation, size)
    order = np.lexsort((np.arange(size), -total.round(6), component))
    begins = np.flatnonzero(np.diff(component[order], prepend=-1))
    return np.asarray(order[begins][component], np.intp)


def _best_correlations(
    thumbnails: Thumbnails, one: Positions, other: Positions
) -> NDArray[np.float32]:
    """Largest correlation over all poses."""
    poses = len(POSES)
    pose = np.tile(np.arange(poses, dtype=np.uint8), len(one))
    each = correlations(thumbnails, np.repeat(one, poses), np.repeat(other, poses), pose)
    found: NDArray[np.float32] = each.reshape(-1, poses).max(axis=1)
    return found


def separate(rows: pd.DataFrame, images: pd.DataFrame, pairs: pd.DataFrame) -> None:
    """Exclude training (and validation) images that are near duplicates of a split of higher rank.

    A cluster is in one split, so this affects pairs that `links` has removed only. All images of
    the same patient or lesion in that split are excluded too.

    Args:
        rows: one row per file, after `division.decide`; columns ``split`` and ``excluded``
            change.
        images: one row per image; ``pairs`` has positions in it.
        pairs: near duplicates.
    """
    placed = rows.dropna(subset=["split"]).drop_duplicates("sha256").set_index("sha256")
    rank = images["sha256"].map(placed["split"].map(RANK)).to_numpy(float)
    one, other = (pairs[side].to_numpy(np.intp) for side in ("first", "second"))
    leaking = np.concatenate([one[rank[one] < rank[other]], other[rank[other] < rank[one]]])
    sha256 = images["sha256"].iloc[leaking]
    of_split = rows["split"].notna() & rows["sha256"].isin(sha256)
    patients = rows.loc[of_split].dropna(subset=["group"])[["group", "split"]].drop_duplicates()
    kept = pd.MultiIndex.from_frame(patients)
    same_patient = pd.MultiIndex.from_frame(rows[["group", "split"]]).isin(kept)
    leaking_rows = of_split | (rows["split"].notna() & rows["group"].notna() & same_patient)
    rows.loc[leaking_rows, "split"] = None
    rows.loc[leaking_rows, "excluded"] = "leak"


CLUSTER_DIGITS = 16


def clusters(images: pd.DataFrame, rows: pd.DataFrame, pairs: pd.DataFrame) -> "pd.Series[str]":
    """sha256 → name of its cluster.

    Two images are in one cluster if they are near duplicates or show the same patient or lesion,
    directly or through other images. The name is the least sha256 in it, so it does not depend on
    the order of images.

    Args:
        images: one row per image, column ``sha256``, sorted by it.
        rows: one row per file, columns ``sha256`` and ``group`` (null where unknown).
        pairs: near duplicates, columns ``first`` and ``second``: positions in ``images``.
    """
    position = pd.Series(np.arange(len(images)), index=images["sha256"])
    members = rows.dropna(subset=["group"])
    group, _ = pd.factorize(members["group"], sort=True)
    in_group = len(images) + group  # a group is one more node, linked to its images
    first = np.concatenate([pairs["first"], position[members["sha256"]]]).astype(np.intp)
    second = np.concatenate([pairs["second"], in_group]).astype(np.intp)
    component = _components(first, second, len(images) + len(set(group)))[: len(images)]
    sha256 = images["sha256"].reset_index(drop=True)
    name = sha256.groupby(component).transform("min").str[:CLUSTER_DIGITS]
    return pd.Series(name.to_numpy(), index=sha256.to_numpy())
