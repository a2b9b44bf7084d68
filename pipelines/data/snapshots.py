"""The line of a data set's snapshots, and what the newest of them holds.

Each snapshot builds on the one before it and is named by its place in the line and its content:
``0003-9f2c…``. So the newest is the last by name, one look into a folder finds it, and nothing
that changes has to be kept.
"""

from typing import Any

from pipelines.data.tables import read_rows
from pipelines.errors import NotFound
from pipelines.outputs import Snapshot
from pipelines.stage import Context, fingerprint, standing

INDEX = "index.parquet"
Row = dict[str, Any]


def latest(context: Context, dataset: str) -> Snapshot | None:
    """The newest snapshot of a data set; ``None`` if nothing was ingested yet."""
    folder = f"{dataset}/snapshots"
    names = context.store.names(folder)
    return standing(context, f"{folder}/{names[-1]}", Snapshot) if names else None


def require(context: Context, dataset: str, identity: str | None = None) -> Snapshot:
    """A snapshot by its id; the newest if none is named.

    Raises:
        NotFound: there is no such snapshot, or nothing was ingested yet.
    """
    if identity is None:
        found = latest(context, dataset)
    else:
        found = standing(context, f"{dataset}/snapshots/{identity}", Snapshot)
    if found is not None:
        return found
    known = context.store.names(f"{dataset}/snapshots")
    if not known:
        raise NotFound(f"{dataset} has no snapshot yet: run `medloop ingest {dataset} FOLDER`.")
    raise NotFound(f"{dataset} has no snapshot {identity}; the newest are {', '.join(known[-5:])}.")


def index_of(context: Context, snapshot: Snapshot | None) -> list[Row]:
    """The rows of a snapshot's index; none for no snapshot."""
    return read_rows(context.store, f"{snapshot.path}/{INDEX}") if snapshot else []


def merged(stood: list[Row], landed: list[Row]) -> list[Row]:
    """The rows of a new snapshot: what stood, with what has landed.

    Images are only ever added. What a landing says of bytes is newer than what was said of the
    same bytes before: their label and the rest follow it. Rows come sorted by path and hash.
    """
    labels: dict[str, set[str]] = {}
    for row in landed:
        labels.setdefault(row["sha256"], set()).add(row["label"])
    kept = {
        key_of(row): row
        for row in stood
        if row["sha256"] not in labels or row["label"] in labels[row["sha256"]]
    }
    places = {row["sha256"]: {"file": row["file"], "row": row["row"]} for row in stood}
    nowhere = {"file": None, "row": None}
    new = {key_of(row): row | places.get(row["sha256"], nowhere) for row in landed}
    return [row for _, row in sorted((kept | new).items())]


def key_of(row: Row) -> tuple[str, str]:
    """What tells an image of a data set from the others: its path, and its bytes."""
    return row["source_path"], row["sha256"]


def digest(rows: list[Row]) -> str:
    """Fingerprint of what rows say, wherever their bytes stand."""
    silent = {"file": None, "row": None, "thumbnail": None}
    return fingerprint([row | silent for row in rows])


def name_after(parent: Snapshot | None, rows: list[Row], masks: list[Row]) -> str:
    """The id of the snapshot that holds ``rows`` and ``masks`` and builds on ``parent``."""
    content = [digest(rows), *([digest(masks)] if masks else [])]
    place = int(parent.id.partition("-")[0]) + 1 if parent else 1
    return f"{place:04d}-{fingerprint(parent.id if parent else None, *content)}"
