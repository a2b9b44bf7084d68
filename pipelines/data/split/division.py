"""Divides clusters among training, validation and test. Never divides a cluster.

**Test.** The test folder of a collection is kept as it is. Without one, each node (a patient or
lesion, or an image if both are unknown) has a number in [0, 1): a hash of the seed and its name. A
cluster is in the test set if one of its nodes is below the share. So the test set depends on the
set of images only, not on the order of deliveries, and a growing cluster may enter the test set but
never leaves it. Earlier splits override this:

- an image of the test set stays there, with its cluster;
- an image that was used for training or validation never enters the test set: if its cluster does,
  the image is excluded as a leak;
- a node that was used for training is never drawn: another seed or share affects new nodes only.

If a class has no test image, the cluster with the lowest number enters the test set, preferably one
that was not used for training. In these cases the order of deliveries matters.

**Validation.** Each split draws its validation set again from the other images. Clusters are ranked
by a hash, class by class, and fill the share as closely as possible. So the validation set depends
on the set of images only, and few images move when it grows. It may consist of whole source
clusters instead (`pipelines.data.split.division`).
"""

import hashlib
from itertools import chain, combinations

import pandas as pd

from pipelines.spec import SplitSpec

HEX_DIGITS = 13
"""Digits of a hash that become its number: as many as a float can hold."""


def decide(rows: pd.DataFrame, shares: SplitSpec, history: pd.DataFrame | None = None) -> None:
    """Set the columns ``split`` and ``excluded`` of each row; exactly one of them is not null.

    Args:
        rows: one row per file, columns ``sha256``, ``group`` (patient or lesion, null where
            unknown), ``label``, ``declared_split``, ``cluster`` and ``source``; of several files
            with the same bytes, the first one in a split counts.
        shares: sizes of the splits.
        history: earlier use of images, from `members.history`.
    """
    rows["split"], rows["excluded"] = None, None
    conflict = rows.groupby("sha256")["label"].transform("nunique") > 1
    rows.loc[conflict, "excluded"] = "label_conflict"
    tests = _tests(rows, shares, pd.DataFrame() if history is None else history)
    _keep(rows, tests, "test")
    _keep(rows, rows["declared_split"] == "validation", "validation")
    rest = rows["excluded"].isna() & rows["split"].isna()
    rows.loc[rest, "split"] = "train"
    if not (rows["split"] == "validation").any():
        chosen = _validation(rows[rest].drop_duplicates("sha256"), shares)
        rows.loc[rest & rows["cluster"].isin(chosen), "split"] = "validation"
    again = rows["split"].notna() & rows.duplicated(["sha256", "split"])
    rows.loc[again, ["split", "excluded"]] = [None, "duplicate"]


def _keep(rows: pd.DataFrame, chosen: "pd.Series[bool]", split: str) -> None:
    """Put rows into a split, and exclude other rows of the same clusters."""
    free = rows["excluded"].isna() & rows["split"].isna()
    ours = free & chosen
    rows.loc[ours, "split"] = split
    leaking = free & ~ours & rows["cluster"].isin(rows.loc[ours, "cluster"])
    rows.loc[leaking, "excluded"] = "leak"


def _tests(rows: pd.DataFrame, shares: SplitSpec, history: pd.DataFrame) -> "pd.Series[bool]":
    """(rows,) whether the image is a test image."""
    free = rows[rows["excluded"].isna()]
    declared = rows["declared_split"] == "test"
    tested, trained = (
        rows["sha256"].isin(history.index[history[since].notna()] if len(history) else [])
        for since in ("first_test", "first_training")
    )
    if declared[free.index].any():
        return declared | (tested & ~rows["sha256"].isin(rows.loc[declared, "sha256"]))
    node = free["group"].fillna(free["sha256"])
    number = node.map({name: number_of(shares.seed, name) for name in node.unique()})
    is_drawn = (number < shares.test) & ~node.isin(node[trained[free.index]])
    clusters = free.loc[is_drawn | tested[free.index], "cluster"]
    tests = tested | (rows["cluster"].isin(clusters) & ~trained)
    for _, of_class in free.groupby("label"):
        if not tests[of_class.index].any():
            new = of_class[~trained[of_class.index]]
            lowest = number[(new if len(new) else of_class).index].idxmin()
            ours = free.index[free["cluster"] == free.at[lowest, "cluster"]]
            tests[ours] = ~trained[ours] if len(new) else True
    return tests


def number_of(seed: int, node: str) -> float:
    """The number in [0, 1) of a patient, a lesion or an image."""
    digest = hashlib.sha256(f"{seed}/{node}".encode()).hexdigest()
    return int(digest[:HEX_DIGITS], 16) / float(16**HEX_DIGITS)


def _validation(rest: pd.DataFrame, shares: SplitSpec) -> set[str]:
    """The clusters of the validation set, from images that are not in the test set."""
    if shares.validation_by == "group":
        return draw(rest, shares.validation / (1 - shares.test), seed=shares.seed)
    chosen = validation_clusters(rest, shares.validation)
    sparse = sparse_classes(rest, chosen, shares.validation)
    other = rest[rest["label"].isin(sparse) & ~rest["cluster"].isin(chosen)]
    return chosen | draw(other, shares.validation, seed=shares.seed)


def draw(images: pd.DataFrame, share: float, *, seed: int) -> set[str]:
    """Draw clusters that together hold a share of each class, as nearly as possible.

    A cluster of several classes counts for its most frequent class (of equal ones, the first by
    name).

    Args:
        images: one row per image, columns ``cluster`` and ``label``.
        share: of each class's images.
        seed: seed of the ranks.
    """
    sizes = images.groupby("cluster").size()
    counts = images.groupby(["cluster", "label"]).size().rename("count").reset_index()
    counts = counts.sort_values(["cluster", "count", "label"], ascending=[True, False, True])
    main = counts.drop_duplicates("cluster").set_index("cluster")["label"]
    drawn: set[str] = set()
    for _, of_class in main.groupby(main):
        ranked = sorted(of_class.index, key=lambda cluster: number_of(seed, cluster))
        drawn |= _nearest(ranked, sizes, share * int(sizes[ranked].sum()))
    return drawn


def _nearest(ranked: list[str], sizes: "pd.Series[int]", target: float) -> set[str]:
    """The clusters, in rank order, that bring their sum closer to ``target``; the smallest one if
    none does."""
    chosen = set()
    remaining = target
    for cluster in ranked:
        size = int(sizes[cluster])
        if size < 2 * remaining:
            chosen.add(cluster)
            remaining -= size
    if not chosen and len(ranked) > 1:
        chosen = {min(ranked, key=lambda cluster: int(sizes[cluster]))}
    return chosen


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
        images: one row per image, columns ``cluster``, ``label`` and ``source``.
        share: of each class that validation should hold.
    """
    source = source_of_cluster(images)
    counts = pd.crosstab(images["cluster"].map(source), images["label"])
    shares = counts / counts.sum()
    sources = shares.index.tolist()
    subsets = chain.from_iterable(combinations(sources, size) for size in range(len(sources)))
    share_of = {subset: shares.loc[list(subset)].sum() for subset in subsets}
    allowed = [subset for subset, of_class in share_of.items() if of_class.max() <= MOST_OF_A_CLASS]
    best = min(allowed, key=lambda subset: float(((share_of[subset] - share) ** 2).sum()))
    return set(source.index[source.isin(best)])


def sparse_classes(images: pd.DataFrame, chosen: set[str], share: float) -> list[str]:
    """The classes of which the chosen clusters hold far less than is wanted.

    Args:
        images: one row per image, columns ``cluster`` and ``label``.
        chosen: the clusters that validate.
        share: of each class that validation should hold.
    """
    share_of = images["cluster"].isin(chosen).astype(float).groupby(images["label"]).mean()
    return [str(label) for label in share_of.index[share_of < SPARSE * share]]


def source_of_cluster(images: pd.DataFrame) -> "pd.Series[int]":
    """Cluster → the source of most of its images; of equal ones, the first."""
    counts = images.groupby(["cluster", "source"]).size().rename("count").reset_index()
    ordered = counts.sort_values(["cluster", "count", "source"], ascending=[True, False, True])
    return ordered.drop_duplicates("cluster").set_index("cluster")["source"]
