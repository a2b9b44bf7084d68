"""Which images must stay together: copies of a picture, and pictures of a patient or lesion."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

CLUSTER_DIGITS = 16


def clusters(images: pd.DataFrame, rows: pd.DataFrame, pairs: pd.DataFrame) -> "pd.Series[str]":
    """sha256 → name of the cluster its image belongs to.

    Two images share a cluster if they are near duplicates or show the same patient or lesion,
    directly or by way of others. A cluster is named by the least sha256 in it, so its name does
    not depend on the order of things.

    Args:
        images: one row an image, column ``sha256``, sorted by it.
        rows: one row a file, columns ``sha256`` and ``group`` (null where unknown).
        pairs: near duplicates, columns ``first`` and ``second``: positions in ``images``.
    """
    position = pd.Series(np.arange(len(images)), index=images["sha256"])
    members = rows.dropna(subset=["group"])
    group, _ = pd.factorize(members["group"], sort=True)
    in_group = len(images) + group  # a group is one more node that its images hang on
    first = np.concatenate([pairs["first"], position[members["sha256"]]]).astype(np.intp)
    second = np.concatenate([pairs["second"], in_group]).astype(np.intp)
    component = _components(first, second, size=len(images) + len(set(group)))[: len(images)]
    sha256 = images["sha256"].reset_index(drop=True)
    name = sha256.groupby(component).transform("min").str[:CLUSTER_DIGITS]
    return pd.Series(name.to_numpy(), index=sha256.to_numpy())


def _components(
    first: NDArray[np.intp], second: NDArray[np.intp], *, size: int
) -> NDArray[np.int32]:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = coo_array((np.ones(len(first), np.int8), (first, second)), shape=(size, size))
    component: NDArray[np.int32] = connected_components(edges, directed=False)[1]
    return component
