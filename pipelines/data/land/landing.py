"""Stage 1, landing: reads, examines, lists and packs every file of a landing folder.

    folder → layout (labels) → open and pack (content) → files.parquet

Landing stores originals. `ingest` adds them to the data set, after the checks. Unusable files are
listed too, each with its reason.
"""

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.data.folders import FileState, open_folder
from pipelines.data.labels import layout
from pipelines.data.labels.entry import Entry
from pipelines.data.land.changes import FOUND, LANDED_SHA256
from pipelines.data.land.examine import OPENED
from pipelines.data.land.ledger import open_ledger
from pipelines.data.land.masks import MASKS, mask_rows
from pipelines.data.land.opening import Opener, paths_of
from pipelines.data.land.originals import LandedFiles, named_as_image, printable
from pipelines.data.land.pseudonyms import ERASED, Pseudonyms, load_pseudonyms
from pipelines.data.parquet_files import parquet_of
from pipelines.data.revisions import latest
from pipelines.outputs import Landing
from pipelines.spec import DatasetSpec
from pipelines.stage import MANIFEST, Context, existing_output, fingerprint

logger = logging.getLogger(__name__)

FILES = "files.parquet"
COPY = "copy"
"""Reason of an unlabelled file with the same bytes as an accepted file."""
BATCH = 4096
"""Files that are converted to rows at a time."""
FROM_LABELS = ("source_path", "label", "landing_label", "declared_split", "group", "metadata")
PROPERTIES = (name for name in FOUND if name in OPENED.names)
FROM_OPENING = ("sha256", *PROPERTIES, "facts", "reason", "message")
LANDED = pa.schema(
    [
        *((name, pa.string()) for name in (*FROM_LABELS, "sha256")),
        ("bytes", pa.int64()),
        *(OPENED.field(name) for name in FROM_OPENING[1:]),
    ]
)
"""``files.parquet`` of a landing; see `pipelines.outputs.Landing`."""
Row = dict[str, Any]


def run(spec: DatasetSpec, context: Context, source: str) -> Landing:
    """List every file of a landing folder with its label, hash and properties, and store the
    originals of new images.

    Files that have not changed since an earlier run are not opened again.

    Args:
        spec: the data set.
        context: settings and store.
        source: path or URI of the landing folder.

    Returns:
        The landing. Its ID depends on content only: the same files give the same ID, wherever and
        whenever they land.

    Raises:
        LandingError: the folder is missing or empty, or does not have the layout of the spec; or
            the first landing has no image of a class.
        StoreUnavailable: the store or the landing folder does not answer.
    """
    folder = open_folder(context.settings, source)
    ledger = open_ledger(context.settings, spec.name)
    with ledger.while_landing():
        files = layout.files(spec, folder)
        names = load_pseudonyms(context.settings)
        opener = Opener(spec, context, folder, names, ledger)
        rows, masks = _examined(spec, context, opener, files)
        landing = _commit(spec, context, folder.location, rows, masks)
        ledger.landed(folder.location, files, landing.id)
    return landing


def _examined(
    spec: DatasetSpec, context: Context, opener: Opener, files: Sequence[FileState]
) -> tuple[pa.Table, pa.Table]:
    """The rows of ``files.parquet``, sorted by source path, and of ``masks.parquet``."""
    folder, paths = opener.folder, LandedFiles(spec, opener.folder, opener.names)
    entries = layout.entries(spec, folder, list(files), pseudonym=paths.pseudonym)
    if latest(context, spec.name) is None:
        layout.require_every_class(spec, folder, entries)
        layout.require_whole_splits(spec, folder, entries)
    listed = {entry.relative for entry in entries}
    opened = opener.open([file for file in files if file.path in listed])
    order = paths_of(entry.relative for entry in entries)
    opened = opened.take(pc.index_in(order, value_set=opened["path"].combine_chunks()))
    rows = pa.concat_tables(_rows(entries, opened, paths, opener.names))
    del opened, entries  # half of the memory of a large landing
    rows = _with_copies(rows)
    is_accepted = pc.is_null(rows["reason"])
    accepted = rows.append_column("path", order).filter(is_accepted)
    masks = mask_rows(spec.landing, folder, accepted, open_files=opener.open)
    return rows.sort_by("source_path"), masks


def _rows(
    entries: Sequence[Entry], opened: pa.Table, paths: LandedFiles, names: Pseudonyms
) -> Iterator[pa.Table]:
    """Rows of entries, a few thousand at a time.

    Args:
        entries: the files.
        opened: the result of each; null if the label table or the corrections name a missing file.
        paths: gives source paths.
        names: this installation's pseudonyms.
    """
    yield LANDED.empty_table()
    for start in range(0, len(entries), BATCH):
        found = opened.slice(start, BATCH).to_pylist()
        rows = [_row(*one, paths, names) for one in zip(entries[start:], found, strict=False)]
        yield pa.Table.from_pylist(rows, schema=LANDED)


def _row(entry: Entry, found: Row, paths: LandedFiles, names: Pseudonyms) -> Row:
    """The row of a file."""
    if found["reason"] == ERASED:  # not even the name of an erased image is stored
        about = {"source_path": paths.pseudonym(entry.relative), "metadata": "{}"}
        return about | {"reason": found["reason"], "message": found["message"]}
    exists = found["path"] is not None
    nameless = found["nameless"] if exists else not named_as_image(entry.relative)
    nameless = nameless or paths.replaces_names
    path = paths.pseudonym if nameless else paths.plain
    metadata = {field: printable(value) for field, value in entry.metadata.items()}
    if found["landed_sha256"]:
        metadata[LANDED_SHA256] = found["landed_sha256"]
    row = {name: found[name] for name in FROM_OPENING} | {
        "source_path": path(entry.relative),
        "label": entry.label,
        "landing_label": entry.landing_label and printable(entry.landing_label),
        "declared_split": entry.declared_split,
        "group": entry.group and paths.group(entry.group),
        "metadata": json.dumps(metadata, sort_keys=True, ensure_ascii=False),
        "bytes": found["size"],
    }
    if nameless:
        row |= {
            "landing_label": entry.landing_label if entry.label else None,
            "group": names.of("group", entry.group) if entry.group else found["patient"],
        }
    if found["frames"]:
        logger.error("%s: %s\n%s", row["source_path"], found["message"], found["frames"])
    if entry.reason:
        hides = nameless and entry.reason != "missing_file"
        message = "The file has no usable label." if hides else entry.message
        row |= {"reason": entry.reason, "message": message}
    return row


def _with_copies(rows: pa.Table) -> pa.Table:
    """Mark unlabelled copies of accepted files: archives often contain every file twice."""
    is_unlabelled = pc.fill_null(pc.equal(rows["reason"], "unlabelled"), False)
    if not pc.any(is_unlabelled).as_py():
        return rows
    accepted = rows.filter(pc.is_null(rows["reason"])).combine_chunks()
    first = pc.index_in(rows["sha256"], value_set=accepted["sha256"].combine_chunks())
    of = accepted["source_path"].take(first)
    is_copy = pc.and_(is_unlabelled, pc.is_valid(of))
    message = pc.binary_join_element_wise("The same bytes as ", of, ", which is accepted.", "")
    for name, value in (("reason", COPY), ("message", message)):
        at = rows.schema.get_field_index(name)
        rows = rows.set_column(at, LANDED.field(name), pc.if_else(is_copy, value, rows[name]))
    return rows


def _commit(
    spec: DatasetSpec, context: Context, location: str, rows: pa.Table, masks: pa.Table
) -> Landing:
    content = [parquet_of(rows), *([parquet_of(masks)] if len(masks) else [])]
    identity = fingerprint(spec.name, [hashlib.sha256(one).hexdigest() for one in content])
    refused = {one["values"]: one["counts"] for one in rows["reason"].value_counts().to_pylist()}
    accepted, copies = refused.pop(None, 0), refused.pop(COPY, 0)
    landing = Landing(
        dataset=spec.name,
        id=identity,
        source=location,
        path=f"{spec.name}/landings/{identity}",
        files=len(rows),
        accepted=accepted,
        copies=copies,
        quarantined=dict(sorted(refused.items())),
    )
    if existing := existing_output(context, landing.path, Landing):
        return existing.model_copy(update={"source": location})
    with context.store.commit(landing.path) as staging:
        for name, data in zip((FILES, MASKS), content, strict=False):
            context.store.write(f"{staging}/{name}", data)
        context.store.write_json(f"{staging}/{MANIFEST}", {"output": landing.model_dump()})
    return landing
