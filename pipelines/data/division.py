"""Dividing clusters among training, validation and test: stratified, seeded, nothing cut apart.

A test folder that comes with the collection is kept as the test set, and what training shares
with it is taken out of training. The rest is divided: clusters are ranked by a hash of the seed
and their name, class by class, and fill the test set (where there is none), then the validation
set, up to their shares. So the order of the data does not matter, and when data grows, few
images change sides.
"""

import hashlib

import pandas as pd

from pipelines.spec import SplitSpec


def decide(rows: pd.DataFrame, shares: SplitSpec) -> None:
    """Set the columns ``split`` and ``excluded`` of each row; exactly one of them is not null.

    Args:
        rows: one row a file, columns ``sha256``, ``label``, ``declared_split`` and ``cluster``;
            of several files with the same bytes, the first one in a split stands for all.
        shares: how large the splits are.
    """
    rows["split"], rows["excluded"] = None, None
    conflict = rows.groupby("sha256")["label"].transform("nunique") > 1
    rows.loc[conflict, "excluded"] = "label_conflict"
    tests = ~conflict & (rows["declared_split"] == "test")
    leaking = ~conflict & ~tests & rows["cluster"].isin(rows.loc[tests, "cluster"])
    rows.loc[leaking, "excluded"] = "leak"
    rows.loc[tests, "split"] = "test"
    rest = rows["excluded"].isna() & ~tests
    drawn = {} if tests.any() else {"test": shares.test}
    once = rows[rest].drop_duplicates("sha256")
    part = divide(once, drawn | {"validation": shares.validation}, seed=shares.seed)
    rows.loc[rest, "split"] = rows.loc[rest, "cluster"].map(part)
    again = rows["split"].notna() & rows.duplicated(["sha256", "split"])
    rows.loc[again, ["split", "excluded"]] = [None, "duplicate"]


def divide(images: pd.DataFrame, shares: dict[str, float], *, seed: int) -> "pd.Series[str]":
    """Cluster → the part it goes to.

    A cluster of several classes counts as of its commonest one (of equal ones, the first by
    name).

    Args:
        images: one row an image, columns ``cluster`` and ``label``.
        shares: part → share of each class's images, filled in this order; what is left over is
            ``train``.
        seed: another seed gives another division.
    """
    sizes = images.groupby("cluster").size()
    counts = images.groupby(["cluster", "label"]).size().rename("count").reset_index()
    counts = counts.sort_values(["cluster", "count", "label"], ascending=[True, False, True])
    main = counts.drop_duplicates("cluster").set_index("cluster")["label"]
    part = pd.Series("train", index=sizes.index)
    for _, clusters in main.groupby(main):
        ranked = sorted(clusters.index, key=lambda cluster: _rank(seed, cluster))
        for name, chosen in _fill(ranked, sizes, shares).items():
            part[chosen] = name
    return part


def _rank(seed: int, cluster: str) -> str:
    return hashlib.sha256(f"{seed}/{cluster}".encode()).hexdigest()


def _fill(
    ranked: list[str], sizes: "pd.Series[int]", shares: dict[str, float]
) -> dict[str, list[str]]:
    total = int(sizes[ranked].sum())
    remaining = list(ranked)
    filled: dict[str, list[str]] = {}
    for part, share in shares.items():
        chosen = _nearest(remaining, sizes, share * total)
        if not chosen and len(remaining) > 1:
            chosen = [min(remaining, key=lambda cluster: int(sizes[cluster]))]
        filled[part] = chosen
        taken = set(chosen)
        remaining = [cluster for cluster in remaining if cluster not in taken]
    return filled


def _nearest(ranked: list[str], sizes: "pd.Series[int]", target: float) -> list[str]:
    """The clusters, in rank order, each of which brings their sum closer to ``target``."""
    chosen = []
    room = target
    for cluster in ranked:
        size = int(sizes[cluster])
        if size < 2 * room:
            chosen.append(cluster)
            room -= size
    return chosen
