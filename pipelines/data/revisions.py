"""Snapshots: the images of a data set at a revision of its tables.

A snapshot is revision N of the table ``images``: for each image, the newest row up to N. Its ID has
the number and a fingerprint of the content (``0007-9f2c…``); its manifest is
``<dataset>/snapshots/<id>/manifest.json``. Rows are only appended, so a snapshot never changes.

A revision is created in two steps: the numbered commit of ``images``, which only one of several
machines can make, and the manifest, which makes it visible. The commit contains the manifest, so
the next process can write it if the first one is killed in between.
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

SNAPSHOT_ID = re.compile(r"\d+-")
"""Start of the ID of a snapshot."""
PACK_COLUMNS = ("sha256", "source_path", "pack", "row")
"""Columns that `pipelines.data.restore.originals` needs."""
Row = dict[str, Any]
OF_IMAGE = tuple(field.name for field in fields(Image))
OF_FILE = tuple(field.name for field in fields(File))


def number_of(identity: str) -> int:
    """The revision of a snapshot, from its ID (``0003-9f2c…``)."""
    return int(identity.partition("-")[0])


def in_order(identities: Iterable[str]) -> list[str]:
    """IDs of snapshots, the oldest first: 10000 comes after 9999. Skips other names."""
    known = [identity for identity in identities if SNAPSHOT_ID.match(identity)]
    return sorted(known, key=lambda identity: (number_of(identity), identity))


def latest(context: Context, dataset: str) -> Snapshot | None:
    """The newest snapshot of a data set; ``None`` if there is none."""
    names = in_order(context.store.names(f"{dataset}/snapshots"))
    return existing_output(context, f"{dataset}/snapshots/{names[-1]}", Snapshot) if names else None


def require(context: Context, dataset: str, identity: str | None = None) -> Snapshot:
    """A snapshot by its ID; by default the newest.

    Raises:
        NotFound: the snapshot does not exist.
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
    """The snapshot at a store path.

    Raises:
        NotFound: it does not exist.
    """
    if (found := existing_output(context, path, Snapshot)) is not None:
        return found
    raise NotFound(
        f"The snapshot {context.store.uri(path)} does not exist. Ingest its images again."
    )


def confirmed(context: Context, dataset: str) -> Snapshot | None:
    """The newest snapshot, on which the next one builds. Writes its manifest if a killed process
    did not.

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
            f"{dataset} has {images.revision()} revisions, but {dataset}/snapshots lacks the "
            "manifest of the newest. Restore it from a backup."
        )
    manifest: dict[str, Any] = json.loads(note)
    snapshot = Snapshot.model_validate(manifest["output"])
    with context.store.commit(snapshot.path) as staging:
        context.store.write_json(f"{staging}/{MANIFEST}", manifest)
    return snapshot


def state(context: Context, snapshot: Snapshot, columns: Sequence[str]) -> pa.Table:
    """One row per image of a snapshot, sorted by ``sha256``.

    Args:
        context: settings and store.
        snapshot: the snapshot.
        columns: columns of `Image` and `Original`.

    Raises:
        NotFound: the table lacks the rows of the snapshot.
        StoreUnavailable: the store does not answer.
    """
    found = [name for name in columns if name not in OF_IMAGE]
    columns_of_images = ["sha256", "revision", "copies", *columns, *(["facts"] if found else [])]
    columns_of_images = [name for name in dict.fromkeys(columns_of_images) if name in OF_IMAGE]
    table = Table.open(context, snapshot.dataset, Image)
    images = newest(table.arrow(columns_of_images, until=number_of(snapshot.id)), ["sha256"])
    images = images.filter(pc.greater(images["copies"], 0))
    if found:
        originals = Table.open(context, snapshot.dataset, Original).arrow(["facts", *found])
        places = pc.index_in(images["facts"], originals["facts"])
        for name in found:
            images = images.append_column(name, originals[name].take(places))
    if snapshot.images and not images.num_rows:
        raise NotFound(
            f"The tables of {snapshot.dataset} lack snapshot {snapshot.id}. Restore a backup."
        )
    return images.select(list(columns))


def files(
    context: Context,
    snapshot: Snapshot,
    columns: Sequence[str],
    *,
    of: Iterable[str] | None = None,
) -> pa.Table:
    """One row per file of a snapshot, sorted by ``source_path`` and ``sha256``.

    Args:
        context: settings and store.
        snapshot: the snapshot.
        columns: columns of `File`, `Image` and `Original`; ``label`` is that of the file.
        of: sha256 of the images; by default all.

    Raises:
        NotFound: the table lacks the rows of the snapshot.
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
    """The rows of `state` as a lazy Spark frame, in any order."""
    from pyspark.sql import functions as F

    found = [name for name in columns if name not in OF_IMAGE]
    columns_of_images = [name for name in columns if name in OF_IMAGE and name != "sha256"]
    columns_of_images = list(dict.fromkeys([*columns_of_images, "facts", "copies"]))
    images = Table.open(context, snapshot.dataset, Image)
    rows = images.frame(spark, context, ["sha256", "revision", *columns_of_images])
    newest = F.max_by(F.struct(*columns_of_images), F.col("revision")).alias("newest")
    rows = rows.where(F.col("revision") <= number_of(snapshot.id)).groupBy("sha256").agg(newest)
    rows = rows.select("sha256", "newest.*").where("copies > 0")
    if found:
        originals = Table.open(context, snapshot.dataset, Original)
        rows = rows.join(
            originals.frame(spark, context, ["facts", *found]).dropDuplicates(["facts"]), "facts"
        )
    return rows.select(*columns)


def masks(context: Context, snapshot: Snapshot) -> pa.Table:
    """The masks of a snapshot, sorted by ``image`` (sha256), with the columns of `Mask`; errors as
    of `state`."""
    images = state(context, snapshot, ["sha256", "mask"])
    images = images.filter(pc.is_valid(images["mask"])).combine_chunks()
    masks_of_images = images["mask"].combine_chunks()
    columns = {field.name: pc.struct_field(masks_of_images, field.name) for field in fields(Mask)}
    return pa.table({"image": images["sha256"]} | columns)


def newest(rows: pa.Table, key: Sequence[str]) -> pa.Table:
    """For each ``key``, the row of the newest revision; sorted by the key."""
    order = [(name, "ascending") for name in (*key, "revision")]
    rows = rows.sort_by(order).combine_chunks()
    if not rows.num_rows:
        return rows
    is_last = pc.not_equal(rows[key[0]].slice(0, len(rows) - 1), rows[key[0]].slice(1))
    for name in key[1:]:
        differs = pc.not_equal(rows[name].slice(0, len(rows) - 1), rows[name].slice(1))
        is_last = pc.or_(is_last, differs)
    return rows.filter(pa.chunked_array([*is_last.chunks, pa.array([True])]))
