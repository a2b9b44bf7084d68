"""Validation made of whole sources, so that it says how a model does on images from elsewhere.

A validation set drawn at random holds images of the same scanners and collections as training: a
model that has learned the source does well on it, and fails on the first test folder from another
place. Here whole source clusters (`pipelines.data.split.source_clusters`) validate: those that
together come closest to the wanted share of every class.
"""

from itertools import chain, combinations

import pandas as pd

MOST_OF_A_CLASS = 0.5
"""Share of a class that validation may hold at most: the rest is needed to learn from."""
SPARSE = 0.5
"""A class is too sparse in validation below this part of the share that is wanted."""


def validation_clusters(images: pd.DataFrame, share: float) -> set[str]:
    """The clusters of copies, patients or lesions whose source validates.

    Every set of sources is tried (there are a dozen at most); the one whose shares of the classes
    differ least from what is wanted, by the sum of squares, is taken. That may be none, where
    every source holds most of a class.

    Args:
        images: one row an image, columns ``cluster``, ``label`` and ``source``.
        share: of each class that validation should hold.
    """
    source = source_of_cluster(images)
    counts = pd.crosstab(images["cluster"].map(source), images["label"])
    shares = counts / counts.sum()
    sources = shares.index.tolist()
    subsets = chain.from_iterable(combinations(sources, size) for size in range(len(sources)))
    held = {subset: shares.loc[list(subset)].sum() for subset in subsets}
    allowed = [subset for subset, of_class in held.items() if of_class.max() <= MOST_OF_A_CLASS]
    best = min(allowed, key=lambda subset: float(((held[subset] - share) ** 2).sum()))
    return set(source.index[source.isin(best)])


def sparse_classes(images: pd.DataFrame, chosen: set[str], share: float) -> list[str]:
    """The classes of which the chosen clusters hold far less than is wanted.

    Args:
        images: one row an image, columns ``cluster`` and ``label``.
        chosen: the clusters that validate.
        share: of each class that validation should hold.
    """
    held = images["cluster"].isin(chosen).astype(float).groupby(images["label"]).mean()
    return [str(label) for label in held.index[held < SPARSE * share]]


def source_of_cluster(images: pd.DataFrame) -> "pd.Series[int]":
    """Cluster → the source of most of its images; of equal ones, the first."""
    counts = images.groupby(["cluster", "source"]).size().rename("count").reset_index()
    ordered = counts.sort_values(["cluster", "count", "source"], ascending=[True, False, True])
    return ordered.drop_duplicates("cluster").set_index("cluster")["source"]
