"""Dividing clusters among training, validation and test: stratified, seeded, nothing cut apart.

A test or validation folder that comes with the collection is kept as it is, and what the rest
shares with it is taken out of the rest, the test set first. The rest is divided: clusters are
ranked by a hash of the seed and their name, class by class, and fill the test set (where there is
none), then the validation set (the same), up to their shares. So the order of the data does not
matter, and when data grows, few images change sides. Validation may be made of whole source
clusters instead (`pipelines.data.split.division_by_source`).
"""

import hashlib

import pandas as pd

from pipelines.data.split import division_by_source
from pipelines.outputs import SplitName
from pipelines.spec import SplitSpec


def decide(rows: pd.DataFrame, shares: SplitSpec) -> None:
    """Set the columns ``split`` and ``excluded`` of each row; exactly one of them is not null.

    Args:
        rows: one row a file, columns ``sha256``, ``label``, ``declared_split``, ``cluster`` and
            ``source``; of several files with the same bytes, the first one in a split stands for
            all.
        shares: how large the splits are.
    """
    rows["split"], rows["excluded"] = None, None
    conflict = rows.groupby("sha256")["label"].transform("nunique") > 1
    rows.loc[conflict, "excluded"] = "label_conflict"
    for kept in ("test", "validation"):
        _keep(rows, kept)
    rest = rows["excluded"].isna() & rows["split"].isna()
    drawn = {} if (rows["split"] == "test").any() else {"test": shares.test}
    once = rows[rest].drop_duplicates("sha256")
    if (rows["split"] == "validation").any():
        part = divide(once, drawn, seed=shares.seed)
    else:
        part = _parts(once, drawn, shares)
    rows.loc[rest, "split"] = rows.loc[rest, "cluster"].map(part)
    again = rows["split"].notna() & rows.duplicated(["sha256", "split"])
    rows.loc[again, ["split", "excluded"]] = [None, "duplicate"]


def _keep(rows: pd.DataFrame, kept: SplitName) -> None:
    """Keep a split that came with the collection, and take out of the rest what it shares."""
    free = rows["excluded"].isna() & rows["split"].isna()
    ours = free & (rows["declared_split"] == kept)
    leaking = free & ~ours & rows["cluster"].isin(rows.loc[ours, "cluster"])
    rows.loc[ours, "split"] = kept
    rows.loc[leaking, "excluded"] = "leak"


def _parts(images: pd.DataFrame, drawn: dict[str, float], shares: SplitSpec) -> "pd.Series[str]":
    """Cluster → the part it goes to."""
    if shares.validation_by == "group":
        return divide(images, drawn | {"validation": shares.validation}, seed=shares.seed)
    part = divide(images, drawn, seed=shares.seed)
    rest = images[images["cluster"].map(part) == "train"]
    chosen = division_by_source.validation_clusters(rest, shares.validation)
    part[list(chosen)] = "validation"
    sparse = division_by_source.sparse_classes(rest, chosen, shares.validation)
    left = rest[rest["label"].isin(sparse) & ~rest["cluster"].isin(chosen)]
    more = divide(left, {"validation": shares.validation}, seed=shares.seed)
    part[more.index[more == "validation"]] = "validation"
    return part


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
