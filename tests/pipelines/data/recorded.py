"""What tests ask of the tables: the rows of a snapshot, and snapshots that they make up."""

from collections.abc import Iterable
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from pipelines.data import revisions
from pipelines.data.migrate import revise
from pipelines.data.rows import File, Member, Original
from pipelines.data.split import members
from pipelines.data.tables import Table
from pipelines.outputs import SPLITS, Snapshot, Split
from pipelines.stage import MANIFEST, Context

Row = dict[str, Any]
COLUMNS = [field.name for row in (File, Original) for field in fields(row)]
ANY_FILE = {"source_path": "any.png", "label": "any", "bytes": 1, "file": "pack", "row": 0}
ANY_MASK = ANY_FILE | {"format": "PNG", "width": 1, "height": 1}


def index_of(context: Context, snapshot: Snapshot | None) -> list[Row]:
    """All that the tables say about each file of a snapshot."""
    if snapshot is None:
        return []
    rows: list[Row] = revisions.files(context, snapshot, COLUMNS).to_pylist(
        maps_as_pydicts="strict"
    )
    return rows


def masks_of(context: Context, snapshot: Snapshot | None) -> list[Row]:
    """All that they say about its masks."""
    masks: list[Row] = revisions.masks(context, snapshot).to_pylist() if snapshot else []
    return masks


def members_of(context: Context, path: str) -> list[Row]:
    """All that the tables say about each file of a split."""
    columns = [field.name for field in fields(Member)]
    rows: list[Row] = members.members(context, path, columns).to_pylist()
    return rows


def record_split(context: Context, path: str, rows: Iterable[Row], *, snapshot: str = "") -> Split:
    """Commit a split of these files; ``cluster`` is the patient where a row names none."""
    dataset, _, identity = path.split("/")
    listed = [
        {name: row.get(name) for name in (*members.KEY, *members.VALUES)}
        | {"cluster": row.get("cluster", row.get("group", row.get("patient")))}
        for row in rows
    ]
    table = Table.open(context, dataset, Member)
    revision = table.revision()
    before = members.newest_rows(table, until=revision)
    split = Split(
        dataset=dataset,
        id=identity,
        snapshot=snapshot,
        path=path,
        revision=members.append(table, pd.DataFrame(listed), before, revision=revision),
        counts={name: {} for name in SPLITS},
        exact_duplicates=0,
        near_duplicates=0,
        leaks=0,
    )
    context.store.write_json(f"{path}/{MANIFEST}", {"output": split.model_dump(mode="json")})
    return split


def record(
    context: Context, snapshot: Snapshot, rows: Iterable[Row], masks: Iterable[Row] = ()
) -> Snapshot:
    """Commit a snapshot with these files, as layout 1 listed them; what a row lacks is made up."""
    revise(
        context.store,
        snapshot.dataset,
        revisions.number_of(snapshot.id),
        [ANY_FILE | row for row in rows],
        [ANY_MASK | mask for mask in masks],
        landing="test",
        arrived=datetime.now(UTC),
    )
    manifest = {"output": snapshot.model_dump(mode="json")}
    context.store.write_json(f"{snapshot.path}/{MANIFEST}", manifest)
    return snapshot
