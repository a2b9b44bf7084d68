"""Which training image leaked from which test image, and how one can tell."""

import json
from typing import Any

import pandas as pd

from pipelines.outputs import Split

KINDS = ("copy", "near", "group", "indirect")
"""The same bytes; the same picture; the same patient or lesion; by way of a third image."""
SAID = ["source_path", "label", "sha256", "group", "cluster"]
COLUMNS = [
    "train_source_path",
    "test_source_path",
    "kind",
    "train_label",
    "test_label",
    "train_sha256",
    "test_sha256",
    "distance",
    "correlation",
    "pose",
]


def find(rows: pd.DataFrame, images: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """For each training file that had to go, the test image that shows best why.

    Args:
        rows: one row a file, decided.
        images: one row an image, in the order that ``pairs`` counts in.
        pairs: near duplicates.

    Returns:
        One row a leaked file, sorted by its path, with `COLUMNS`; ``kind`` is one of `KINDS`,
        and the last three are of near duplicates only.
    """
    train = rows.loc[rows["excluded"] == "leak", SAID].add_prefix("train_")
    test = rows.loc[rows["split"] == "test", SAID].add_prefix("test_")
    test = test.sort_values("test_source_path")
    evidence = {
        "copy": _same(train, test, "sha256"),
        "near": _near(train, test, named(images, pairs)),
        "group": _same(train.dropna(subset=["train_group"]), test, "group"),
        "indirect": _same(train, test, "cluster"),
    }
    found = pd.concat([table.assign(kind=kind) for kind, table in evidence.items()])
    best = found.drop_duplicates(["train_source_path", "train_sha256"])
    return best.reindex(columns=COLUMNS).sort_values(
        ["train_source_path", "train_sha256"], ignore_index=True
    )


def named(images: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """Pairs with what is known of both images: columns ``first_…`` and ``second_…``."""
    sides = [
        images.iloc[pairs[side]][SAID[:3]].add_prefix(f"{side}_").reset_index(drop=True)
        for side in ("first", "second")
    ]
    how = pairs[["distance", "correlation", "pose"]].reset_index(drop=True)
    return pd.concat([*sides, how], axis="columns")


def as_pairs(leaked: pd.DataFrame) -> pd.DataFrame:
    """Leaks with the columns of `named`: ``first_…`` is the training image."""
    columns = {f"train_{what}": f"first_{what}" for what in SAID}
    columns |= {f"test_{what}": f"second_{what}" for what in SAID}
    return leaked.rename(columns=columns)


def _same(train: pd.DataFrame, test: pd.DataFrame, what: str) -> pd.DataFrame:
    """Each training file with the first test image of the same value in column ``what``."""
    first = test.drop_duplicates(f"test_{what}")
    return train.merge(first, left_on=f"train_{what}", right_on=f"test_{what}")


def _near(train: pd.DataFrame, test: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """Each training file with the test image most like it."""
    how = ["distance", "correlation", "pose"]
    there = pairs.rename(columns={"first_sha256": "train_sha256", "second_sha256": "test_sha256"})
    back = pairs.rename(columns={"second_sha256": "train_sha256", "first_sha256": "test_sha256"})
    either = pd.concat([there, back])[["train_sha256", "test_sha256", *how]]
    merged = train.merge(either, on="train_sha256").merge(test, on="test_sha256")
    return merged.sort_values(["correlation", "test_source_path"], ascending=[False, True])


def disagreements(images: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """Near duplicates under different labels: one of each pair is probably labelled wrong."""
    both = named(images, pairs)
    return both[both["first_label"] != both["second_label"]].reset_index(drop=True)


def conflicts(rows: pd.DataFrame) -> pd.DataFrame:
    """Files whose bytes stand under several labels."""
    found = rows.loc[rows["excluded"] == "label_conflict", SAID[:3]]
    return found.sort_values(["sha256", "source_path"], ignore_index=True)


def summary(
    split: Split, rows: pd.DataFrame, *, leaked: pd.DataFrame, disagreeing: pd.DataFrame
) -> dict[str, Any]:
    """What ``leaks.json`` says."""
    excluded: dict[str, dict[str, int]] = {}
    for reason, of_reason in rows.groupby("excluded")["label"]:
        counts = of_reason.value_counts().sort_index()
        excluded[str(reason)] = {str(label): int(count) for label, count in counts.items()}
    return {
        "counts": split.counts,
        "exact_duplicates": split.exact_duplicates,
        "near_duplicates": split.near_duplicates,
        "test_set": "the collection's own" if (rows["declared_split"] == "test").any() else "drawn",
        "excluded": excluded,
        "leaks": _records(leaked),
        "label_conflicts": _records(conflicts(rows)),
        "label_disagreements": _records(disagreeing),
    }


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(table.to_json(orient="records", double_precision=4))
    return records
