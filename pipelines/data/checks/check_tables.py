"""The tables that expectation suites validate: one row per image, metadata only.

Values that depend on other rows (number of copies, number of splits) are computed here, so every
expectation is about one column and names the rows that break it. The suites describe the columns.
"""

import io
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from pipelines.data import revisions
from pipelines.data.input.cache import inspect
from pipelines.data.land.landing import COPY
from pipelines.data.land.pseudonyms import ERASED
from pipelines.data.split.members import members
from pipelines.outputs import Landing, Prepared, Snapshot, Split
from pipelines.stage import Context

IMAGE = ["source_path", "sha256"]
"""The key of a row; the same bytes may have several paths."""
JUDGED = (
    *IMAGE,
    *("label", "declared_split", "patient", "landing_label"),
    *("bytes", "format", "width", "height", "mode", "bits", "mean", "std", "pack", "row"),
)
"""Columns of a snapshot's files that expectations use."""
UNREAD = ["notes", "metadata", "facts"]
"""Columns that no expectation uses."""


def landing_table(context: Context, landing: Landing) -> pd.DataFrame:
    """The table of ``expectations/landing.py``: one row per file, without unlabelled copies of
    accepted files and without erased images."""
    rows = _read(context, f"{landing.path}/files.parquet")
    return _with_sizes(rows[~rows["reason"].isin([COPY, ERASED])])


def snapshot_table(context: Context, snapshot: Snapshot, split: Split) -> pd.DataFrame:
    """The table of ``expectations/snapshot.py``."""
    index = revisions.files(context, snapshot, JUDGED).to_pandas()
    members_of_split = members(
        context, split.path, [*IMAGE, "cluster", "split", "excluded"]
    ).to_pandas()
    rows = _with_sizes(index).merge(members_of_split, on=IMAGE, how="outer")
    counts = rows["label"].map(rows["label"].value_counts())
    first = rows.groupby("sha256")["source_path"].transform("first")
    split_rows = rows[rows["split"].notna()]
    return rows.assign(
        imbalance=counts.max() / counts,
        copy_of=first.mask(~rows.duplicated("sha256")),
        splits_of_cluster=_distinct(split_rows, "split", per="cluster"),
        splits_of_group=_distinct(split_rows, "split", per="patient"),
        splits_of_sha256=_distinct(split_rows, "split", per="sha256"),
        labels_of_sha256=_distinct(split_rows, "label", per="sha256"),
    )


def prepared_table(context: Context, prepared: Prepared, classes: tuple[str, ...]) -> pd.DataFrame:
    """The table of ``expectations/prepared.py``; downloads and verifies missing parts."""
    planned = members(context, prepared.split, [*IMAGE, "split", "label"]).to_pandas()
    planned = planned[planned["split"].notna()]
    planned["label"] = planned["label"].map(classes.index)
    data, damage = inspect(context, prepared)
    prepared_rows = data.table.select([*IMAGE, "group", "split", "label", "part"]).to_pandas()
    rows = planned.rename(columns={"split": "planned_split", "label": "planned_label"}).merge(
        prepared_rows[~prepared_rows["part"].isin(damage)], on=IMAGE, how="outer"
    )
    damaged = pd.DataFrame({"part": damage.keys(), "damage": damage.values()}, dtype="object")
    rows = pd.concat([rows.assign(damage=None), damaged], ignore_index=True)
    shifts = _shifts(context.store.read_json(f"{prepared.path}/stats.json"))
    return rows.assign(
        splits_of_group=_distinct(images_of(rows), "split", per="group"),
        splits_of_sha256=_distinct(images_of(rows), "split", per="sha256"),
        mean_shift=rows["split"].map(shifts["mean"]),
        std_shift=rows["split"].map(shifts["std"]),
    )


def images_of(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of a prepared table that are images."""
    return rows[rows["damage"].isna() & rows["split"].notna()]


def _read(context: Context, path: str) -> pd.DataFrame:
    table = pq.read_table(io.BytesIO(context.store.read(path)))
    frame: pd.DataFrame = table.drop_columns(
        [name for name in UNREAD if name in table.column_names]
    ).to_pandas()
    return frame


def _with_sizes(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(
        shorter_side=rows[["width", "height"]].min(axis=1),
        megapixels=rows["width"] * rows["height"] / 1e6,
        megabytes=rows["bytes"] / (1 << 20),
    )


def _distinct(rows: pd.DataFrame, column: str, *, per: str) -> pd.Series:
    """For each row, the number of distinct values of ``column`` among rows with the same
    ``per``."""
    return rows.groupby(per)[column].transform("nunique")


def _shifts(stats: dict[str, Any]) -> dict[str, dict[str, float]]:
    """``mean`` and ``std`` → split → difference from training, in grey levels."""
    levels = {
        what: {
            split: sum(of_split["all"][what]) / 3
            for split, of_split in stats.items()
            if of_split["all"][what]
        }
        for what in ("mean", "std")
    }
    return {
        what: {split: abs(level - of_split["train"]) for split, level in of_split.items()}
        for what, of_split in levels.items()
        if "train" in of_split
    }
