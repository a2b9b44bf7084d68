"""Stage 2, ingest: landed originals, packed into an immutable snapshot in the store.

A snapshot appears whole or not at all, after every image in it was read back from the store and
hashed. The same landing again makes no new one; new files make one that adds only them. Of two
machines that ingest at once, the second builds its snapshot again on top of the first one's. The
ledger notes the files only after their snapshot has its place in the line.
"""

import logging
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from pipelines.alone import alone
from pipelines.data import packing
from pipelines.data.folders import open_source
from pipelines.data.land import masks, quarantine
from pipelines.data.land.landing import COPY, FILES
from pipelines.data.land.ledger import open_ledger
from pipelines.data.land.originals import LandedFiles
from pipelines.data.land.pseudonyms import load_pseudonyms
from pipelines.data.packing import Original, Pack, deliver, pack
from pipelines.data.row_files import INDEXED, MASKS_INDEXED, read_rows, write_rows
from pipelines.data.snapshots import (
    INDEX,
    Row,
    claim,
    confirmed,
    digest,
    index_of,
    key_of,
    latest,
    merged,
    name_after,
)
from pipelines.outputs import Landing, Snapshot
from pipelines.progress import track
from pipelines.provenance import git_commit
from pipelines.spec import DatasetSpec
from pipelines.stage import MANIFEST, Context, code_version

__all__ = ["latest", "run"]

logger = logging.getLogger(__name__)


def run(spec: DatasetSpec, context: Context, landing: Landing) -> Snapshot:
    """Add what a landing accepted to the data set, and keep what it refused in quarantine.

    Args:
        spec: the data set.
        context: settings and store.
        landing: the listed files; they must still be where they landed.

    Returns:
        The new snapshot; the newest one that stands if the landing brings nothing new.

    Raises:
        LandingError: a file is gone or has changed since it was landed.
        StoreUnavailable: the store does not answer, or gave back other bytes than it was given.
    """
    snapshot = _add(spec, context, landing)
    open_ledger(context.settings, spec.name).ingested(landing.id)
    return snapshot


def _add(spec: DatasetSpec, context: Context, landing: Landing) -> Snapshot:
    listed = read_rows(context.store, f"{landing.path}/{FILES}")
    source = open_source(context.settings, landing.source)
    files = LandedFiles(spec, source, load_pseudonyms(context.settings))
    with _emptied(_work(context, spec.name)) as work:
        refused = [row for row in listed if row["reason"] not in (None, COPY)]
        kept = quarantine.keep(spec, context, refused, files=files, work=work)
        while True:
            snapshot = _committed(spec, context, landing, listed, files=files, refused=kept)
            if claim(context, snapshot):
                return snapshot
            # Another machine's snapshot has the number; ours is built again on top of it.
            logger.warning("%s: another machine has ingested images meanwhile", spec.name)
            context.store.delete(snapshot.path)


def _committed(
    spec: DatasetSpec,
    context: Context,
    landing: Landing,
    listed: list[Row],
    *,
    files: LandedFiles,
    refused: str | None,
) -> Snapshot:
    """A snapshot that adds a landing to the newest one, or that one if there is nothing to add."""
    parent = confirmed(context, spec.name)
    stood = [
        # earlier releases kept the group of plain images as it was
        row | {"group": row["group"] and files.group(row["group"])}
        for row in index_of(context, parent)
    ]
    rows = merged(stood, [row for row in listed if not row["reason"]])
    known = masks.masks_of(context, parent)
    lesions = masks.merged(known, masks.landed(context, landing))
    if parent and (digest(rows), digest(lesions)) == (digest(stood), digest(known)):
        logger.info("%s: nothing new; snapshot %s stands", spec.name, parent.id)
        return parent
    snapshot = _named(spec, parent, stood=stood, rows=rows, lesions=lesions, refused=refused)
    with context.store.commit(snapshot.path) as staging:
        pack_new = partial(_pack_new, context, files, snapshot=snapshot, staging=staging)
        work = _work(context, spec.name)
        packs = pack_new(rows, name="images", work=work)
        write_rows(context.store, f"{staging}/{INDEX}", rows, schema=INDEXED)
        if lesions:
            packs += pack_new(lesions, name="masks", work=work)
            write_rows(context.store, f"{staging}/{masks.MASKS}", lesions, schema=MASKS_INDEXED)
        manifest = _manifest(spec, snapshot, landing, rows=rows, packs=packs)
        manifest["masks"] = len(lesions)
        context.store.write_json(f"{staging}/{MANIFEST}", manifest)
    return snapshot


def _work(context: Context, dataset: str) -> Path:
    return context.settings.work / "ingest" / dataset


def _named(
    spec: DatasetSpec,
    parent: Snapshot | None,
    *,
    stood: list[Row],
    rows: list[Row],
    lesions: list[Row],
    refused: str | None,
) -> Snapshot:
    identity = name_after(parent, rows, lesions)
    return Snapshot(
        dataset=spec.name,
        id=identity,
        path=f"{spec.name}/snapshots/{identity}",
        images=len(rows),
        added=len(set(map(key_of, rows)) - set(map(key_of, stood))),
        parent=parent.id if parent else None,
        quarantine=refused,
    )


def _pack_new(
    context: Context,
    files: LandedFiles,
    rows: list[Row],
    *,
    name: str,
    snapshot: Snapshot,
    staging: str,
    work: Path,
) -> list[Pack]:
    """Store the files that no snapshot holds yet, each once, and note in ``rows`` where."""
    new: dict[str, Row] = {}
    for row in rows:
        if row["file"] is None:
            new.setdefault(row["sha256"], row)
    places: dict[str, tuple[str, int]] = {}
    packs = []
    originals = (_original(row, content) for row, content in files.read_each(new.values()))
    for done in pack(track(originals, total=len(new), what=f"Packing {name}"), work, name=name):
        file = done.local.name
        deliver(context.store, done, f"{staging}/{file}")
        places |= {s: (f"{snapshot.path}/{file}", row) for row, s in enumerate(done.sha256s)}
        packs.append(done)
    for row in rows:
        if row["file"] is None:
            row["file"], row["row"] = places[row["sha256"]]
    return packs


def _original(row: Row, content: bytes) -> Original:
    return Original(
        sha256=row["sha256"],
        source_path=row["source_path"],
        label=row.get("label"),
        format=row["format"],
        content=content,
    )


def _manifest(
    spec: DatasetSpec, snapshot: Snapshot, landing: Landing, *, rows: list[Row], packs: list[Pack]
) -> dict[str, Any]:
    return {
        "output": snapshot.model_dump(),
        "source": spec.source.model_dump(),
        "synthetic": spec.synthetic,
        "landing": landing.id,
        "counts": dict(sorted(Counter(row["label"] for row in rows).items())),
        "files": [
            {"name": p.local.name, "bytes": p.bytes, "sha256": p.sha256, "images": len(p.sha256s)}
            for p in packs
        ],
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "code": code_version(packing),
        "git_commit": git_commit(),
    }


@contextmanager
def _emptied(folder: Path) -> Iterator[Path]:
    """An empty folder to work in, for one ingestion of a data set at a time on this machine.

    The lock goes with the process that holds it, however that ends.
    """
    with alone(folder):
        shutil.rmtree(folder)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder)
