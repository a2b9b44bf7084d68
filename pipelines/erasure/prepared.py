"""Parts of prepared images without some of them.

A part is named by the sha256 of its bytes, so another part takes the place of one, with a listing
of its own. Both are written before the old ones are deleted: readers find each image at any
moment, and an erasure that was cut short is done again.
"""

import io
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.data.parquet_files import parquet_of
from pipelines.data.prepare.listings import IDENTITY, LISTED, listing_path, part_path
from pipelines.erasure.traces import Traces
from pipelines.hashing import file_digest
from pipelines.storage import Store

PART = re.compile(r"([^/]+/prepared/[^/]+)/parts/([0-9a-f]{64})\.parquet")
LISTING = re.compile(r"([^/]+/prepared/[^/]+)/listings/([0-9a-f]{64})\.parquet")


def is_part(path: str) -> bool:
    """Whether a file of the store is a part of prepared images."""
    return PART.fullmatch(path) is not None


def goes_with_its_part(store: Store, path: str) -> bool:
    """Whether a file of the store is the listing of a part that is there."""
    match = LISTING.fullmatch(path)
    return match is not None and store.exists(part_path(match[1], match[2]))


def exchange(store: Store, path: str, local: Path, traces: Traces) -> None:
    """Let a part that was written again, without images, take the place of one.

    Args:
        store: where it is.
        path: of the part.
        local: the new one.
        traces: by what the images are known.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    match = PART.fullmatch(path)
    assert match is not None, path
    folder, part = match[1], match[2]
    old = listing_path(folder, part)
    if store.exists(old) and pq.read_metadata(local).num_rows:
        name = file_digest(local)
        store.replace_file(local, part_path(folder, name))
        store.create(listing_path(folder, name), _without(store.read(old), traces))
    store.delete(old)
    store.delete(path)


def _without(content: bytes, traces: Traces) -> bytes:
    """A listing without images; the others move up."""
    rows = pq.read_table(io.BytesIO(content)).to_pandas().sort_values("row")
    rows = rows[~rows[IDENTITY].isin(traces.hashes).any(axis=1)]
    has_lesion = rows["lesion"] >= 0
    rows = rows.assign(row=range(len(rows)))
    rows.loc[has_lesion, "lesion"] = range(int(has_lesion.sum()))
    return parquet_of(pa.Table.from_pandas(rows[LISTED.names], schema=LISTED, preserve_index=False))
