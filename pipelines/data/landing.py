"""Stage 1, landing: every file of a landing folder opened, judged and listed.

    folder → layout (what each file is said to show) → examine (what it holds) → files.parquet

Nothing is copied yet, and nothing is left out: a file that cannot be used stands in the table
with the reason why.
"""

import json
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from importlib import import_module

from loky import ProcessPoolExecutor

from pipelines import imaging
from pipelines.data import deidentify, examine, layout
from pipelines.data.entry import Entry
from pipelines.data.examinations import Examinations
from pipelines.data.examine import Examined, limits_of
from pipelines.data.ledger import open_ledger
from pipelines.data.masks import MASKS, Row, judged
from pipelines.data.originals import LandedFiles
from pipelines.data.pseudonyms import Pseudonyms, load_pseudonyms
from pipelines.data.snapshots import latest
from pipelines.data.sources import FileState, Source, open_source
from pipelines.data.tables import LANDED, MASKED, write_rows
from pipelines.errors import LandingError
from pipelines.imaging import Limits
from pipelines.outputs import Landing
from pipelines.progress import track
from pipelines.spec import DatasetSpec
from pipelines.stage import MANIFEST, Context, code_version, fingerprint, standing

logger = logging.getLogger(__name__)

FILES = "files.parquet"
IMAGING = (
    "blank",
    "decode",
    "depth",
    "dicom",
    "info",
    "perceptual",
    "raster",
    "shades",
    "sniff",
    "traces",
)
"""The modules of imaging that decide what is seen in a file."""
FILES_PER_TASK = 32
FEW_FILES = 64
"""So many are opened faster here than by new processes."""


def run(spec: DatasetSpec, context: Context, source: str) -> Landing:
    """List every file below ``source`` with its label, hash, properties and judgement.

    Files are opened by all cores. One whose path, size and time of change are those of an
    earlier run is not opened again.

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
    `pipelines.outputs.Landing` and `pipelines.data.masks`."""
    names = load_pseudonyms(context.settings)
    paths = LandedFiles(spec, source, names)
    entries = layout.entries(spec, source, files, pseudonym=paths.pseudonym)
    if latest(context, spec.name) is None:
        layout.require_every_class(spec, source, entries)
    memory = Examinations(
        context.settings.cache / "examined" / f"{spec.name}.sqlite",
        names,
        version=context.identity(spec.limits, _code()),
    )
    listed = {entry.relative for entry in entries}
    images = [file for file in files if file.path in listed]

    def open_files(files: list[FileState]) -> dict[str, Examined]:
        return _examine_all(source, files, names, limits=limits_of(spec.limits), memory=memory)

    examined = open_files(images)
    rows = {
        e.relative: _row(e, examined.get(e.relative, Examined()), paths, names) for e in entries
    }
    accepted = {path: row for path, row in rows.items() if not row["reason"]}
    masks = judged(spec.landing, source, accepted, open_files=open_files)
    return sorted(rows.values(), key=lambda row: str(row["source_path"])), masks


def _code() -> str:
    """What decides how a file is judged and described."""
    parts = [import_module(f"{imaging.__name__}.{name}") for name in IMAGING]
    return code_version(examine, deidentify, *parts)


def _examine_all(
    source: Source,
    files: list[FileState],
    names: Pseudonyms,
    *,
    limits: Limits,
    memory: Examinations,
) -> dict[str, Examined]:
    keys = {file.path: memory.key(source.place, file) for file in files}
    remembered = memory.known(key for key in keys.values() if key)
    examined = {path: remembered[key] for path, key in keys.items() if key in remembered}
    unseen = [path for path in keys if path not in examined]
    parts = [unseen[i : i + FILES_PER_TASK] for i in range(0, len(unseen), FILES_PER_TASK)]
    done = _in_parallel if len(unseen) > FEW_FILES else _here
    for part in track(done(source, parts, names, limits), total=len(parts), what="Opening files"):
        examined |= part
        memory.remember({key: found for path, found in part.items() if (key := keys[path])})
    logger.info("%s: %s files, %s opened", source.place, f"{len(files):,}", f"{len(unseen):,}")
    return examined


def _here(
    source: Source, parts: Iterable[list[str]], names: Pseudonyms, limits: Limits
) -> Iterator[dict[str, Examined]]:
    return (_examine_part(source, part, names, limits) for part in parts)


def _in_parallel(
    source: Source, parts: Iterable[list[str]], names: Pseudonyms, limits: Limits
) -> Iterator[dict[str, Examined]]:
    # Not forked: the caller may hold threads (gRPC, Arrow) that do not survive a fork. Nor
    # spawned by multiprocessing: that imports the caller's main module, which may be Airflow's.
    with ProcessPoolExecutor(_cores()) as pool:
        tasks = {pool.submit(_examine_part, source, part, names, limits): part for part in parts}
        for task in as_completed(tasks):
            try:
                yield task.result()
            except BrokenProcessPool as error:
                pool.shutdown(kill_workers=True)
                raise LandingError(
                    f"A process that opened files of {source.place} was ended by the system (out "
                    f"of memory?). It may have been one from {tasks[task][0]!r} on. Run again to "
                    "go on, or lower limits.max_megapixels."
                ) from error


def _examine_part(
    source: Source, part: list[str], names: Pseudonyms, limits: Limits
) -> dict[str, Examined]:
    return {path: examine.examine(source, path, names, limits=limits) for path in part}


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _row(entry: Entry, found: Examined, paths: LandedFiles, names: Pseudonyms) -> Row:
    properties = found.model_dump(exclude={"dicom", "patient", "size"}) | {"bytes": found.size}
    said = {
        "source_path": paths.plain(entry.relative),
        "label": entry.label,
        "landing_label": entry.landing_label,
        "declared_split": entry.declared_split,
        "group": entry.group,
        "metadata": json.dumps(entry.metadata, sort_keys=True, ensure_ascii=False),
    }
    if found.dicom:
        said |= {
            "source_path": paths.pseudonym(entry.relative),
            "landing_label": entry.landing_label if entry.label else None,
            "group": names.of("group", entry.group) if entry.group else found.patient,
        }
    if entry.reason:
        named = "The DICOM file has no label." if found.dicom else entry.message
        properties |= {"reason": entry.reason, "message": named}
    return said | properties


def _summary(spec: DatasetSpec, source: str, rows: list[Row], masks: list[Row]) -> Landing:
    refused = Counter(row["reason"] for row in rows if row["reason"])
    content = [{**row, "thumbnail": None} for row in rows]
    identity = fingerprint(spec.name, content, *([masks] if masks else []))
    return Landing(
        dataset=spec.name,
        id=identity,
        source=source,
        path=f"{spec.name}/landings/{identity}",
        files=len(rows),
        accepted=len(rows) - sum(refused.values()),
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
