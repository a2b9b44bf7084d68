"""Stage 1, landing: every file of a landing folder read once, judged, listed, and packed.

    folder → layout (what each file is said to show) → open and pack (what it holds) → files.parquet

Originals are stored before anything says that the data set has them: that is up to `ingest`, after
the checks. Nothing is left out: a file that cannot be used is listed with the reason why.
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
from pipelines.data.land.changes import LANDED_SHA256
from pipelines.data.land.erased import ERASED
from pipelines.data.land.executor import OPENED
from pipelines.data.land.ledger import open_ledger
from pipelines.data.land.masks import MASKS, judged
from pipelines.data.land.opening import Opener, paths_of
from pipelines.data.land.originals import LandedFiles, named_as_image, printable
from pipelines.data.land.pseudonyms import Pseudonyms, load_pseudonyms
from pipelines.data.revisions import latest
from pipelines.data.row_files import LANDED, parquet_of
from pipelines.outputs import Landing
from pipelines.spec import DatasetSpec
from pipelines.stage import MANIFEST, Context, existing_output, fingerprint

logger = logging.getLogger(__name__)

FILES = "files.parquet"
COPY = "copy"
"""Reason of a file that nobody labelled and whose bytes are those of an accepted file."""
BATCH = 4096
"""Files whose rows are made at a time."""
SHOWN = tuple(name for name in LANDED.names if name in OPENED.names)
"""Columns that opening a file fills in."""
Row = dict[str, Any]


def run(spec: DatasetSpec, context: Context, source: str) -> Landing:
    """List every file below ``source`` with its label, hash, properties and judgement, and store
    the originals of those that the data set lacks.

    A file that has not changed since an earlier run is not opened again.

    Args:
        spec: the data set.
        context: settings and store.
        source: the landing folder, a local path or ``hdfs:///PATH``.

    Returns:
        The landing; its id is by content, so the same files give the same id wherever and
        whenever they land.

    Raises:
        LandingError: the folder is missing, empty or not laid out as the spec says; it is the
            first one, and holds nothing of a class.
        StoreUnavailable: the store, or HDFS where the folder stands, does not answer.
    """
    folder = open_folder(context.settings, source)
    ledger = open_ledger(context.settings, spec.name)
    with ledger.while_landing():
        files = layout.files(spec, folder)
        names = load_pseudonyms(context.settings)
        opener = Opener(spec, context, folder, names, ledger)
        rows, masks = _judged(spec, context, opener, files)
        landing = _commit(spec, context, folder.location, rows, masks)
        ledger.landed(folder.location, files, landing.id)
    return landing


def _judged(
    spec: DatasetSpec, context: Context, opener: Opener, files: Sequence[FileState]
) -> tuple[pa.Table, pa.Table]:
    """A row for every file, sorted by source path, with the columns `LANDED`; and one for every
    mask of an accepted file."""
    source, paths = opener.source, LandedFiles(spec, opener.source, opener.names)
    entries = layout.entries(spec, source, list(files), pseudonym=paths.pseudonym)
    if latest(context, spec.name) is None:
        layout.require_every_class(spec, source, entries)
        layout.require_whole_splits(spec, source, entries)
    listed = {entry.relative for entry in entries}
    opened = opener.open([file for file in files if file.path in listed])
    order = paths_of(entry.relative for entry in entries)
    opened = opened.take(pc.index_in(order, value_set=opened["path"].combine_chunks()))
    rows = pa.concat_tables(_rows(entries, opened, paths, opener.names))
    del opened, entries  # half of the memory that a large folder takes
    rows = _with_copies(rows)
    is_accepted = pc.is_null(rows["reason"])
    accepted = rows.append_column("path", order).filter(is_accepted)
    masks = judged(spec.landing, source, accepted, open_files=opener.open)
    return rows.sort_by("source_path"), masks


def _rows(
    entries: Sequence[Entry], opened: pa.Table, paths: LandedFiles, names: Pseudonyms
) -> Iterator[pa.Table]:
    """Rows of entries, a few thousand at a time.

    Args:
        entries: the files.
        opened: what opening each has shown; null for one that is named and not there.
        paths: what files are called.
        names: this installation's pseudonyms.
    """
    yield LANDED.empty_table()
    for start in range(0, len(entries), BATCH):
        found = opened.slice(start, BATCH).to_pylist()
        rows = [_row(*one, paths, names) for one in zip(entries[start:], found, strict=False)]
        yield pa.Table.from_pylist(rows, schema=LANDED)


def _row(entry: Entry, found: Row, paths: LandedFiles, names: Pseudonyms) -> Row:
    """The row of a file."""
    if found["reason"] == ERASED:  # nothing of the image comes in again, not even its name
        about = {"source_path": paths.pseudonym(entry.relative), "metadata": "{}"}
        return about | {"reason": found["reason"], "message": found["message"]}
    is_there = found["path"] is not None
    nameless = found["nameless"] if is_there else not named_as_image(entry.relative)
    nameless = nameless or paths.replaces_names
    path = paths.pseudonym if nameless else paths.plain
    metadata = {field: printable(value) for field, value in entry.metadata.items()}
    if found["landed_sha256"]:
        metadata[LANDED_SHA256] = found["landed_sha256"]
    row = {name: found[name] for name in SHOWN} | {
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
    """Note of each file without a label whether it is a copy of an accepted one: downloads often
    hold everything twice."""
    is_unlabelled = pc.fill_null(pc.equal(rows["reason"], "unlabelled"), False)
    if not pc.any(is_unlabelled).as_py():
        return rows
    accepted = rows.filter(pc.is_null(rows["reason"])).combine_chunks()
    first = pc.index_in(rows["sha256"], value_set=accepted["sha256"].combine_chunks())
    of = accepted["source_path"].take(first)
    is_copy = pc.and_(is_unlabelled, pc.is_valid(of))
    said = pc.binary_join_element_wise("The same bytes as ", of, ", which is accepted.", "")
    for name, value in (("reason", COPY), ("message", said)):
        at = rows.schema.get_field_index(name)
        rows = rows.set_column(at, LANDED.field(name), pc.if_else(is_copy, value, rows[name]))
    return rows


def _commit(
    spec: DatasetSpec, context: Context, place: str, rows: pa.Table, masks: pa.Table
) -> Landing:
    content = [parquet_of(rows), *([parquet_of(masks)] if len(masks) else [])]
    identity = fingerprint(spec.name, [hashlib.sha256(one).hexdigest() for one in content])
    refused = {one["values"]: one["counts"] for one in rows["reason"].value_counts().to_pylist()}
    accepted, copies = refused.pop(None, 0), refused.pop(COPY, 0)
    landing = Landing(
        dataset=spec.name,
        id=identity,
        source=place,
        path=f"{spec.name}/landings/{identity}",
        files=len(rows),
        accepted=accepted,
        copies=copies,
        quarantined=dict(sorted(refused.items())),
    )
    if stood := existing_output(context, landing.path, Landing):
        return stood.model_copy(update={"source": place})
    with context.store.commit(landing.path) as staging:
        for name, data in zip((FILES, MASKS), content, strict=False):
            context.store.write(f"{staging}/{name}", data)
        context.store.write_json(f"{staging}/{MANIFEST}", {"output": landing.model_dump()})
    return landing
