"""Snapshots: what a data set's images are at a revision of its tables.

A snapshot is revision N of the table ``images``: for each image, the newest row up to N. It is
named by the number and its content (``0007-9f2c…``), and its manifest is
``<dataset>/snapshots/<id>/manifest.json``. Rows are only appended, so a snapshot never changes.

A revision is committed in two steps: the numbered commit of ``images``, which one of several
machines gets, and the manifest, which makes it visible. The commit carries the manifest, so that
whoever comes next can write it where a process was killed in between.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.data.rows import File, Image, Mask, Original
from pipelines.data.tables import Table
from pipelines.errors import NotFound
from pipelines.outputs import Snapshot
from pipelines.stage import MANIFEST, Context, existing_output

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

ID = re.compile(r"\d+-")
"""How the id of a snapshot begins."""
PLACE = ("sha256", "source_path", "pack", "row")
"""Columns by which originals are read (`pipelines.data.restore.originals`)."""
Row = dict[str, Any]
OF_IMAGE = tuple(field.name for field in fields(Image))
OF_FILE = tuple(field.name for field in fields(File))


def number_of(identity: str) -> int:
    """The revision of a snapshot, from its id (``0003-9f2c…``)."""
    return int(identity.partition("-")[0])


def in_order(identities: Iterable[str]) -> list[str]:
    """Ids of snapshots, the oldest first: 10000 comes after 9999. Other names are left out."""
    known = [identity for identity in identities if ID.match(identity)]
    return sorted(known, key=lambda identity: (number_of(identity), identity))


def latest(context: Context, dataset: str) -> Snapshot | None:
    """The newest snapshot of a data set; ``None`` if nothing was ingested yet."""
    names = in_order(context.store.names(f"{dataset}/snapshots"))
    return existing_output(context, f"{dataset}/snapshots/{names[-1]}", Snapshot) if names else None


def require(context: Context, dataset: str, identity: str | None = None) -> Snapshot:
    """A snapshot by its id; the newest if none is named.

    Raises:
        NotFound: there is no such snapshot, or nothing was ingested yet.
    """
    if identity is None:
        found = latest(context, dataset)
    else:
        found = existing_output(context, f"{dataset}/snapshots/{identity}", Snapshot)
    if found is not None:
        return found
    known = in_order(context.store.names(f"{dataset}/snapshots"))
    if not known:
        raise NotFound(f"{dataset} has no snapshot yet: run `medloop ingest {dataset} FOLDER`.")
    raise NotFound(f"{dataset} has no snapshot {identity}; the newest are {', '.join(known[-5:])}.")


def at(context: Context, path: str) -> Snapshot:
    """The snapshot at a store path, as outputs and models name it.

    Raises:
        NotFound: it is gone.
    """
    if (found := existing_output(context, path, Snapshot)) is not None:
        return found
    raise NotFound(f"The snapshot {context.store.uri(path)} is gone; ingest its images again.")


def confirmed(context: Context, dataset: str) -> Snapshot | None:
    """The newest snapshot, like `latest`, after writing a manifest that a killed process left out:
    what the next snapshot builds on.

    Raises:
        NotFound: the manifest is neither in the store nor in the log of the table.
    """
    context.store.require_layout()
    newest = latest(context, dataset)
    images = Table.open(context, dataset, Image)
    if images.revision() == (number_of(newest.id) if newest else 0):
        return newest
    note = images.note()
    if not note:
        raise NotFound(
            f"{dataset} has {images.revision()} revisions, and the manifest of the newest is gone "
            f"from {dataset}/snapshots. Restore it from a backup."
        )
    manifest: dict[str, Any] = json.loads(note)
    snapshot = Snapshot.model_validate(manifest["output"])
    with context.store.commit(snapshot.path) as staging:
        context.store.write_json(f"{staging}/{MANIFEST}", manifest)
    return snapshot


def state(context: Context, snapshot: Snapshot, columns: Sequence[str]) -> pa.Table:
    """One row for each image of a snapshot, sorted by ``sha256``.

    Args:
        context: settings and store.
        snapshot: the snapshot.
        columns: of `Image` and `Original`.

    Raises:
        NotFound: the table lacks the snapshot's rows.
        StoreUnavailable: the store does not answer.
    """
    found = [name for name in columns if name not in OF_IMAGE]
    said = ["sha256", "revision", "copies", *columns, *(["facts"] if found else [])]
    said = [name for name in dict.fromkeys(said) if name in OF_IMAGE]
    table = Table.open(context, snapshot.dataset, Image)
    images = newest(table.arrow(said, until=number_of(snapshot.id)), ["sha256"])
    images = images.filter(pc.greater(images["copies"], 0))
    if found:
        originals = Table.open(context, snapshot.dataset, Original).arrow(["facts", *found])
        places = pc.index_in(images["facts"], originals["facts"])
        for name in found:
            images = images.append_column(name, originals[name].take(places))
    if snapshot.images and not images.num_rows:
        raise NotFound(f"The tables of {snapshot.dataset} do not hold snapshot {snapshot.id}.")
    return images.select(list(columns))


def files(
    context: Context,
    snapshot: Snapshot,
    columns: Sequence[str],
    *,
    of: Iterable[str] | None = None,
) -> pa.Table:
    """One row for each file of a snapshot's images, sorted by ``source_path`` and ``sha256``.

    Args:
        context: settings and store.
        snapshot: the snapshot.
        columns: of `File`, `Image` and `Original`; ``label`` is that of the file.
        of: sha256 of the images whose files are wanted; all, if not given.

    Raises:
        NotFound: the table lacks the snapshot's rows.
        StoreUnavailable: the store does not answer.
    """
    of_image = [name for name in dict.fromkeys(["sha256", *columns]) if name not in OF_FILE]
    images = state(context, snapshot, [*of_image, "files"])
    if of is not None:
        images = images.filter(pc.is_in(images["sha256"], value_set=pa.array(of, pa.string())))
    images = images.combine_chunks()
    listed = images["files"].combine_chunks()
    parents, flat = pc.list_parent_indices(listed), listed.flatten()
    table = pa.table(
        {name: images[name].take(parents) for name in of_image}
        | {name: pc.struct_field(flat, name) for name in {"source_path", *columns} & {*OF_FILE}}
    )
    order = [("source_path", "ascending"), ("sha256", "ascending")]
    return table.sort_by(order).select(list(columns))


def state_frame(
    spark: "SparkSession", context: Context, snapshot: Snapshot, columns: Sequence[str]
) -> "DataFrame":
    """The rows of `state` as a Spark frame, in no order; nothing is read yet."""
    from pyspark.sql import functions as F

    found = [name for name in columns if name not in OF_IMAGE]
    said = [name for name in columns if name in OF_IMAGE and name != "sha256"]
    said = list(dict.fromkeys([*said, "facts", "copies"]))
    images = Table.open(context, snapshot.dataset, Image)
    rows = images.frame(spark, context, ["sha256", "revision", *said])
    newest = F.max_by(F.struct(*said), F.col("revision")).alias("newest")
    rows = rows.where(F.col("revision") <= number_of(snapshot.id)).groupBy("sha256").agg(newest)
    rows = rows.select("sha256", "newest.*").where("copies > 0")
    if found:
        originals = Table.open(context, snapshot.dataset, Original)
        rows = rows.join(
            originals.frame(spark, context, ["facts", *found]).dropDuplicates(["facts"]), "facts"
        )
    return rows.select(*columns)


def masks(context: Context, snapshot: Snapshot) -> pa.Table:
    """The masks of a snapshot's images, sorted by ``image`` (its sha256), with the columns of
    `Mask`; errors as of `state`."""
    images = state(context, snapshot, ["sha256", "mask"])
    images = images.filter(pc.is_valid(images["mask"])).combine_chunks()
    drawn = images["mask"].combine_chunks()
    columns = {field.name: pc.struct_field(drawn, field.name) for field in fields(Mask)}
    return pa.table({"image": images["sha256"]} | columns)


def newest(rows: pa.Table, key: Sequence[str]) -> pa.Table:
    """Of the rows with the same ``key``, the one of the newest revision; sorted by the key."""
    order = [(name, "ascending") for name in (*key, "revision")]
    rows = rows.sort_by(order).combine_chunks()
    if not rows.num_rows:
        return rows
    is_last = pc.not_equal(rows[key[0]].slice(0, len(rows) - 1), rows[key[0]].slice(1))
    for name in key[1:]:
        differs = pc.not_equal(rows[name].slice(0, len(rows) - 1), rows[name].slice(1))
        is_last = pc.or_(is_last, differs)
    return rows.filter(pa.chunked_array([*is_last.chunks, pa.array([True])]))
