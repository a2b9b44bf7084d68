"""Stage 1, landing: every file of a landing folder opened, judged and listed.

    folder → layout (what each file is said to show) → examine (what it holds) → files.parquet

Nothing is copied yet, and nothing is left out: a file that cannot be used stands in the table
with the reason why.
"""

import json
import logging
from collections import Counter

from pipelines.data.folders import FileState, Source, open_source
from pipelines.data.labels import layout
from pipelines.data.labels.entry import Entry
from pipelines.data.land.changes import LANDED_SHA256
from pipelines.data.land.erased import ERASED, MESSAGE, erased
from pipelines.data.land.examinations import Examinations
from pipelines.data.land.examine import Examined, limits_of
from pipelines.data.land.ledger import open_ledger
from pipelines.data.land.masks import MASKS, Row, judged
from pipelines.data.land.opening import Opener, examination_version
from pipelines.data.land.originals import LandedFiles, named_as_image, printable
from pipelines.data.land.pseudonyms import Pseudonyms, load_pseudonyms
from pipelines.data.revisions import latest
from pipelines.data.row_files import LANDED, MASKED, write_rows
from pipelines.outputs import Landing
from pipelines.spec import DatasetSpec
from pipelines.stage import MANIFEST, Context, fingerprint, standing

logger = logging.getLogger(__name__)

FILES = "files.parquet"
NO_COLUMNS = {"nameless", "patient", "size", "landed_sha256"}
"""Fields of `Examined` that have no column of their own."""
COPY = "copy"
"""Reason of a file that nobody labelled and whose bytes are those of an accepted file."""


def run(spec: DatasetSpec, context: Context, source: str) -> Landing:
    """List every file below ``source`` with its label, hash, properties and judgement.

    Files are opened by all cores, each apart from the others (`pipelines.data.land.opening`). A
    file that has not changed since an earlier run is not opened again.

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
    folder = open_source(context.settings, source)
    ledger = open_ledger(context.settings, spec.name)
    with ledger.while_landing():
        files = layout.files(spec, folder)
        rows, masks = _judged(spec, context, folder, files)
        landing = _commit(context, _summary(spec, folder.place, rows, masks), rows, masks)
        ledger.landed(folder.place, files, landing.id)
    return landing


def _judged(
    spec: DatasetSpec, context: Context, source: Source, files: list[FileState]
) -> tuple[list[Row], list[Row]]:
    """A row for every file, sorted by source path, and for every mask of an accepted one; see
    `pipelines.outputs.Landing` and `pipelines.data.land.masks`."""
    names = load_pseudonyms(context.settings)
    paths = LandedFiles(spec, source, names)
    entries = layout.entries(spec, source, files, pseudonym=paths.pseudonym)
    if latest(context, spec.name) is None:
        layout.require_every_class(spec, source, entries)
        layout.require_whole_splits(spec, source, entries)
    memory = Examinations(
        context.settings.cache / "examined" / f"{spec.name}.sqlite",
        names,
        version=context.identity(spec.limits, examination_version()),
    )
    opener = Opener(source, names, limits_of(spec.limits), memory)
    listed = {entry.relative for entry in entries}
    examined = opener.open([file for file in files if file.path in listed])
    rows = {e.relative: _row(e, examined.get(e.relative), paths, names) for e in entries}
    again = _erased(context, spec, examined)
    rows |= {path: _erased_row(path, paths) for path in again}
    opener.forget(file for file in files if file.path in again)
    _recognise_copies(rows)
    accepted = {path: row for path, row in rows.items() if not row["reason"]}
    masks = judged(spec.landing, source, accepted, open_files=opener.open)
    return sorted(rows.values(), key=lambda row: str(row["source_path"])), masks


def _row(entry: Entry, found: Examined | None, paths: LandedFiles, names: Pseudonyms) -> Row:
    """The row of a file, or of one that is named and not there (``found`` is ``None``)."""
    found = found or Examined(nameless=not named_as_image(entry.relative))
    nameless = found.nameless or paths.replaces_names
    properties = found.model_dump(exclude=NO_COLUMNS) | {"bytes": found.size}
    path = paths.pseudonym if nameless else paths.plain
    metadata = {field: printable(value) for field, value in entry.metadata.items()}
    if found.landed_sha256:
        metadata[LANDED_SHA256] = found.landed_sha256
    about = {
        "source_path": path(entry.relative),
        "label": entry.label,
        "landing_label": entry.landing_label and printable(entry.landing_label),
        "declared_split": entry.declared_split,
        "group": entry.group and paths.group(entry.group),
        "metadata": json.dumps(metadata, sort_keys=True, ensure_ascii=False),
    }
    if nameless:
        about |= {
            "landing_label": entry.landing_label if entry.label else None,
            "group": names.of("group", entry.group) if entry.group else found.patient,
        }
    if entry.reason:
        hides = nameless and entry.reason != "missing_file"
        message = "The file has no usable label." if hides else entry.message
        properties |= {"reason": entry.reason, "message": message}
    if found.frames:
        logger.error("%s: %s\n%s", about["source_path"], found.message, found.frames)
    return about | properties


def _erased(context: Context, spec: DatasetSpec, examined: dict[str, Examined]) -> set[str]:
    """Paths of files whose images were erased, and that have landed again."""
    gone = erased(context, spec.name)
    return {p for p, one in examined.items() if gone.has((one.sha256, one.landed_sha256))}


def _erased_row(relative: str, paths: LandedFiles) -> Row:
    """The row of such a file: nothing of the image comes in again, not even its name."""
    about = {"source_path": paths.pseudonym(relative), "metadata": "{}"}
    return dict.fromkeys(LANDED.names) | about | {"reason": ERASED, "message": MESSAGE}


def _recognise_copies(rows: dict[str, Row]) -> None:
    """Note of each file without a label whether it is a copy of an accepted one: downloads often
    hold everything twice."""
    accepted: dict[str, str] = {}
    for row in rows.values():
        if not row["reason"]:
            accepted.setdefault(row["sha256"], row["source_path"])
    for row in rows.values():
        if row["reason"] == "unlabelled" and row["sha256"] in accepted:
            original = accepted[row["sha256"]]
            row |= {"reason": COPY, "message": f"The same bytes as {original}, which is accepted."}


def _summary(spec: DatasetSpec, source: str, rows: list[Row], masks: list[Row]) -> Landing:
    refused = Counter(row["reason"] for row in rows if row["reason"])
    copies = refused.pop(COPY, 0)
    content = [{**row, "thumbnail": None} for row in rows]
    identity = fingerprint(spec.name, content, *([masks] if masks else []))
    return Landing(
        dataset=spec.name,
        id=identity,
        source=source,
        path=f"{spec.name}/landings/{identity}",
        files=len(rows),
        accepted=len(rows) - copies - sum(refused.values()),
        copies=copies,
        quarantined=dict(sorted(refused.items())),
    )


def _commit(context: Context, landing: Landing, rows: list[Row], masks: list[Row]) -> Landing:
    if stood := standing(context, landing.path, Landing):
        return stood.model_copy(update={"source": landing.source})
    with context.store.commit(landing.path) as staging:
        write_rows(context.store, f"{staging}/{FILES}", rows, schema=LANDED)
        if masks:
            write_rows(context.store, f"{staging}/{MASKS}", masks, schema=MASKED)
        context.store.write_json(f"{staging}/{MANIFEST}", {"output": landing.model_dump()})
    return landing
