"""The line of a data set's snapshots, and what the newest of them holds.

Each snapshot builds on the one before it and is named by its number in the line and its content:
``0003-9f2c…``. The newest is the one with the highest number.

Two machines may commit different snapshots with the same number. Each number belongs to one
snapshot only: ``<dataset>/snapshot_line/<number>`` names it, a file that is created once. Whoever
does not get the number builds again, on top of the snapshot that did.
"""

import json
import logging
import re
from collections.abc import Iterable
from typing import Any

from pipelines.data.row_files import read_rows
from pipelines.errors import NotFound
from pipelines.outputs import Snapshot
from pipelines.stage import Context, fingerprint, standing

logger = logging.getLogger(__name__)

ID = re.compile(r"\d+-")
"""How the id of a snapshot begins."""
INDEX = "index.parquet"
DROPPED = ("phash",)
"""Columns that older releases wrote."""
LANDED_SHA256 = "landed_sha256"
"""Field of an image's metadata: the sha256 of its file, where metadata was removed from it."""
Row = dict[str, Any]


def number_of(identity: str) -> int:
    """The number of a snapshot in its line, from its id (``0003-9f2c…``)."""
    return int(identity.partition("-")[0])


def in_order(identities: Iterable[str]) -> list[str]:
    """Ids of snapshots, the oldest first: 10000 comes after 9999. Other names are left out."""
    known = [identity for identity in identities if ID.match(identity)]
    return sorted(known, key=lambda identity: (number_of(identity), identity))


def latest(context: Context, dataset: str) -> Snapshot | None:
    """The newest snapshot of a data set; ``None`` if nothing was ingested yet."""
    folder = f"{dataset}/snapshots"
    names = in_order(context.store.names(folder))
    if not names:
        return None
    newest = [name for name in names if number_of(name) == number_of(names[-1])]
    owner = _owner(context, dataset, number_of(names[-1])) if len(newest) > 1 else None
    return standing(context, f"{folder}/{owner if owner in newest else newest[0]}", Snapshot)


def confirmed(context: Context, dataset: str) -> Snapshot | None:
    """The newest snapshot, like `latest`, once its number is certainly its own: what the next
    snapshot may build on."""
    while True:
        newest = latest(context, dataset)
        if newest is None or claim(context, newest):
            return newest


def claim(context: Context, snapshot: Snapshot) -> bool:
    """Take a committed snapshot's number for it; ``False`` if another one has it.

    Of several processes on several machines that do this at once, one succeeds.
    """
    dataset, number = snapshot.dataset, number_of(snapshot.id)
    path = _claim_path(dataset, number)
    content = snapshot.id.encode()
    if context.store.create(path, content):
        return True
    owner = _owner(context, dataset, number)
    if owner == snapshot.id:
        return True
    if context.store.exists(f"{dataset}/snapshots/{owner}"):
        return False
    logger.warning("%s: snapshot %s was removed; %s takes its number", dataset, owner, snapshot.id)
    context.store.replace(path, content)
    return True


def _owner(context: Context, dataset: str, number: int) -> str | None:
    path = _claim_path(dataset, number)
    return context.store.read(path).decode() if context.store.exists(path) else None


def _claim_path(dataset: str, number: int) -> str:
    return f"{dataset}/snapshot_line/{number}"


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
    known = in_order(context.store.names(f"{dataset}/snapshots"))
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
    # of a file that an earlier release stored with its metadata, the original without it counts
    replaced = {(row["source_path"], landed_sha256(row)) for row in landed}
    kept = {
        key_of(row): row
        for row in stood
        if key_of(row) not in replaced
        and (row["sha256"] not in labels or row["label"] in labels[row["sha256"]])
    }
    places = {row["sha256"]: {"file": row["file"], "row": row["row"]} for row in stood}
    nowhere = {"file": None, "row": None}
    new = {key_of(row): row | places.get(row["sha256"], nowhere) for row in landed}
    return [row for _, row in sorted((kept | new).items())]


def landed_sha256(row: Row) -> str:
    """The sha256 of an image's file as it landed: what the service sees of it, too."""
    return str(json.loads(row.get("metadata") or "{}").get(LANDED_SHA256, row["sha256"]))


def key_of(row: Row) -> tuple[str, str]:
    """What tells an image of a data set from the others: its path, and its bytes."""
    return row["source_path"], row["sha256"]


def digest(rows: list[Row]) -> str:
    """Fingerprint of what rows say, wherever their bytes stand."""
    silent = {"file": None, "row": None, "thumbnail": None}
    return fingerprint(
        [{name: of for name, of in (row | silent).items() if name not in DROPPED} for row in rows]
    )


def name_after(parent: Snapshot | None, rows: list[Row], masks: list[Row]) -> str:
    """The id of the snapshot that holds ``rows`` and ``masks`` and builds on ``parent``."""
    content = [digest(rows), *([digest(masks)] if masks else [])]
    number = number_of(parent.id) + 1 if parent else 1
    return f"{number:04d}-{fingerprint(parent.id if parent else None, *content)}"
