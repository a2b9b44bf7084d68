"""Originals that no snapshot lists: what may go, and what an erasure must still find."""

import logging
from collections.abc import Iterator
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.data.land.landing import FILES
from pipelines.data.land.masks import MASKS
from pipelines.data.parquet_files import read_table
from pipelines.data.rows import Image, Original, Refused
from pipelines.data.tables import Table
from pipelines.errors import NotFound
from pipelines.retention.item import Item
from pipelines.stage import Context
from pipelines.storage import Store

logger = logging.getLogger(__name__)


def unnamed(context: Context, dataset: str) -> Iterator[Item]:
    """Packs of a data set that no table names: landings that were killed left them."""
    store, folder = context.store, f"{dataset}/packs"
    there = store.names(folder)
    named = _named(context, dataset) if there else set()
    for name in there:
        path = f"{folder}/{name}"
        pin, used = "a table names it" if path in named else None, _newest(store, path)
        remove = partial(_remove_unnamed, context, dataset, path, used)
        yield Item("work", f"store:{path}", used, pin, partial(store.bytes_below, path), remove)


def _named(context: Context, dataset: str) -> set[str]:
    """Folders of the packs that hold what the tables list."""
    packs = pc.unique(Table.open(context, dataset, Original).arrow(["pack"])["pack"]).to_pylist()
    masks = Table.open(context, dataset, Image).arrow(["mask"])["mask"].combine_chunks()
    packs += pc.unique(pc.struct_field(masks, "pack")).to_pylist()
    return {pack.rpartition("/")[0] for pack in packs if pack}


def _newest(store: Store, folder: str) -> float:
    return max((store.modified(path) for path in store.walk(folder)), default=0.0)


def _remove_unnamed(context: Context, dataset: str, path: str, written: float) -> bool:
    """Delete a pack, unless it was written again or is named meanwhile."""
    store = context.store
    try:
        if _newest(store, path) != written or path in _named(context, dataset):
            return False
    except NotFound:
        return False
    logger.info("Removing %s", store.uri(path))
    store.delete(path)
    return True


def only_landed(context: Context, dataset: str) -> pa.Array:
    """sha256 of originals that neither a snapshot nor the quarantine lists: the checks refused
    their delivery, or it was not ingested yet."""
    images = Table.open(context, dataset, Image).arrow(["sha256", "mask"])
    masks = pc.struct_field(images["mask"].combine_chunks(), "sha256")
    refused = Table.open(context, dataset, Refused).arrow(["sha256"])
    listed = pa.chunked_array([*images["sha256"].chunks, masks, *refused["sha256"].chunks])
    stored = pc.unique(Table.open(context, dataset, Original).arrow(["sha256"])["sha256"])
    return stored.filter(pc.invert(pc.is_in(stored, value_set=listed.combine_chunks())))


def pin_of(context: Context, landing: str, only_landed: pa.Array) -> str | None:
    """Why the record of a landing stays: an erasure finds these images by nothing else."""
    for name in (FILES, MASKS) if len(only_landed) else ():
        path = f"{landing}/{name}"
        if context.store.exists(path):
            sha256s = read_table(context.store, path)["sha256"]
            if pc.any(pc.is_in(sha256s, value_set=only_landed)).as_py():
                return "it holds images that are in no snapshot"
    return None
