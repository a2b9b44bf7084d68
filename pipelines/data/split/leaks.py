"""Finds the test image that each excluded training image leaks from."""

import json
from typing import Any

import pandas as pd

from pipelines.outputs import Split

KINDS = ("copy", "near", "group", "indirect")
"""The same bytes; near duplicates; the same patient or lesion; linked by other images."""
IMAGE_COLUMNS = ["source_path", "label", "sha256", "group", "cluster"]
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
    """For each file that was excluded as a leak, the test image with the strongest link.

    Args:
        rows: one row per file, after `division.decide`.
        images: one row per image; ``pairs`` has positions in it.
        pairs: near duplicates.

    Returns:
        One row per leaked file, sorted by path, with `COLUMNS`. ``kind`` is one of `KINDS`; the
        last three columns are null except for near duplicates.
    """
    train = rows.loc[rows["excluded"] == "leak", IMAGE_COLUMNS].add_prefix("train_")
    test = rows.loc[rows["split"] == "test", IMAGE_COLUMNS].add_prefix("test_")
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
    """Pairs with the columns of both images as ``first_…`` and ``second_…``."""
    sides = [
        images.iloc[pairs[side]][IMAGE_COLUMNS[:3]].add_prefix(f"{side}_").reset_index(drop=True)
        for side in ("first", "second")
    ]
    measures = pairs[["distance", "correlation", "pose"]].reset_index(drop=True)
    return pd.concat([*sides, measures], axis="columns")


def as_pairs(leaked: pd.DataFrame) -> pd.DataFrame:
    """Leaks with the columns of `named`: ``first_…`` is the training image."""
    columns = {f"train_{what}": f"first_{what}" for what in IMAGE_COLUMNS}
    columns |= {f"test_{what}": f"second_{what}" for what in IMAGE_COLUMNS}
    return leaked.rename(columns=columns)


def _same(train: pd.DataFrame, test: pd.DataFrame, what: str) -> pd.DataFrame:
    """Each training file with the first test image that has the same value in a column."""
    first = test.drop_duplicates(f"test_{what}")
    return train.merge(first, left_on=f"train_{what}", right_on=f"test_{what}")


def _near(train: pd.DataFrame, test: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """Each training file with its most similar test image."""
    measures = ["distance", "correlation", "pose"]
    forward = pairs.rename(columns={"first_sha256": "train_sha256", "second_sha256": "test_sha256"})
    backward = pairs.rename(
        columns={"second_sha256": "train_sha256", "first_sha256": "test_sha256"}
    )
    either = pd.concat([forward, backward])[["train_sha256", "test_sha256", *measures]]
    merged = train.merge(either, on="train_sha256").merge(test, on="test_sha256")
    return merged.sort_values(["correlation", "test_source_path"], ascending=[False, True])


def disagreements(images: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """Near duplicates with different labels: one of each pair is probably wrong."""
    both = named(images, pairs)
    return both[both["first_label"] != both["second_label"]].reset_index(drop=True)


def conflicts(rows: pd.DataFrame) -> pd.DataFrame:
    """Files whose bytes have several labels."""
    found = rows.loc[rows["excluded"] == "label_conflict", IMAGE_COLUMNS[:3]]
    return found.sort_values(["sha256", "source_path"], ignore_index=True)


def summary(
    split: Split, rows: pd.DataFrame, *, leaked: pd.DataFrame, disagreeing: pd.DataFrame
) -> dict[str, Any]:
    """The content of ``leaks.json``."""
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
