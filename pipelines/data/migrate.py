"""Layout 1 → 2 of a store: indexes of snapshots become revisions of the tables.

Layout 1 kept ``index.parquet`` and ``masks.parquet`` in the folder of each snapshot, with a row for
every file, and ``<dataset>/snapshot_line/<number>``: which snapshot has a number. The manifests and
the packs stay where they are. The old files are deleted once their rows are in the tables, so that
an image that is erased later is not left in them.
"""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from pipelines.data.land.changes import file_of, mask_of, original_of
from pipelines.data.parquet_files import read_rows
from pipelines.data.revisions import in_order, number_of
from pipelines.data.rows import Image, Original, RowT, rows_of, schema_of, table_of
from pipelines.data.tables import RevisionTaken, Table
from pipelines.errors import NotFound
from pipelines.stage import MANIFEST
from pipelines.storage import Store

logger = logging.getLogger(__name__)

INDEX = "index.parquet"
MASKS = "masks.parquet"
LINE = "snapshot_line"
Row = dict[str, Any]


def migrate(store: Store) -> None:
    """Bring every data set of a store into its tables; may be killed and repeated at will.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    for dataset in store.names(""):
        identities = list(_line(store, dataset))
        for identity in identities:
            _import(store, dataset, identity)
        for identity in identities:
            for name in (INDEX, MASKS):
                store.delete(f"{dataset}/snapshots/{identity}/{name}")
        if store.names(f"{dataset}/{LINE}"):
            store.delete(f"{dataset}/{LINE}")


def revise(
    store: Store, dataset: str, number: int, files: Iterable[Row], masks: Iterable[Row], **made: Any
) -> None:
    """Append what an index says about all images as a revision.

    Args:
        store: where the tables are.
        dataset: the data set.
        number: the revision; nothing is done where it exists.
        files: rows of ``index.parquet``.
        masks: rows of ``masks.parquet``.
        made: ``landing`` and ``arrived`` of the rows.
    """
    images = _table(store, dataset, Image)
    if images.revision() >= number:
        return
    before = dict(_before(images))
    drawn = {m["image"]: mask_of(m, pack=m["file"], row=m["row"]) for m in masks}
    ordered = sorted(files, key=lambda row: (row["sha256"], row["source_path"]))
    opened: list[Original] = []
    rows: list[Image] = []
    for sha256, of_image in groupby(ordered, key=lambda row: str(row["sha256"])):
        listed = list(of_image)
        original = original_of(listed[0], pack=listed[0]["file"], row=listed[0]["row"])
        labels = {row["label"] for row in listed}
        stood = before.pop(sha256, None)
        row = Image(
            sha256=sha256,
            revision=number,
            first_revision=stood.first_revision if stood else number,
            facts=original.facts,
            files=tuple(file_of(row) for row in listed),
            copies=len(listed),
            label=labels.pop() if len(labels) == 1 else None,
            mask=drawn.get(sha256),
            **made,
        )
        if stood is None or _said(row) != _said(stood):
            rows.append(row)
            opened.append(original)
    gone = [one for one in before.values() if one.copies]
    rows += [replace(g, revision=number, files=(), copies=0, label=None, **made) for g in gone]
    originals = _table(store, dataset, Original)
    known = set(originals.arrow(["facts"])["facts"].to_pylist())
    new = [original for original in opened if original.facts not in known]
    if new:
        originals.append(table_of(new, Original))
    try:
        images.append(table_of(rows, Image), revision=number)
    except RevisionTaken:
        logger.info("%s: another process has imported revision %d", dataset, number)


def _import(store: Store, dataset: str, identity: str) -> None:
    path = f"{dataset}/snapshots/{identity}"
    try:
        index = read_rows(store, f"{path}/{INDEX}")
    except NotFound:
        return  # imported by a process that was killed, or by another one
    manifest = store.read_json(f"{path}/{MANIFEST}")
    when = manifest.get("created_at")
    masks = read_rows(store, f"{path}/{MASKS}") if store.exists(f"{path}/{MASKS}") else []
    logger.info("%s: snapshot %s becomes a revision of the tables", dataset, identity)
    revise(
        store,
        dataset,
        number_of(identity),
        index,
        masks,
        landing=str(manifest.get("landing", "")),
        arrived=datetime.fromisoformat(when) if when else datetime.now(UTC),
    )


def _line(store: Store, dataset: str) -> Iterator[str]:
    """Ids of a data set's snapshots, the oldest first, one of each number.

    Where two machines committed a number at once, the one that did not get it is deleted: nothing
    was built on it, and its files are landed again.
    """
    folder = f"{dataset}/snapshots"
    for number, found in groupby(in_order(store.names(folder)), key=number_of):
        identities = list(found)
        line = f"{dataset}/{LINE}/{number}"
        owner = store.read(line).decode() if store.exists(line) else ""
        owner = owner if owner in identities else identities[0]
        for identity in identities:
            if identity != owner:
                store.delete(f"{folder}/{identity}")
        yield owner


def _before(images: Table) -> Iterator[tuple[str, Image]]:
    """The newest row of each image, by sha256."""
    columns = schema_of(Image).names
    rows = images.arrow(columns).sort_by("revision")
    yield from ((row.sha256, row) for row in rows_of(rows, Image))


def _said(row: Image) -> Image:
    """A row without what differs from revision to revision."""
    return replace(row, revision=0, landing="", arrived=datetime.min)


def _table(store: Store, dataset: str, row: type[RowT]) -> Table:
    return Table(store, f"{dataset}/tables/{row.table}", row)
