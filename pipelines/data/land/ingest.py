"""Stage 2, ingest: landed originals, packed into the store, and their rows in its tables.

A snapshot is a new revision of the tables (`pipelines.data.revisions`). It holds what a landing
adds and changes, and appears whole or not at all:

    packs, each read back and hashed → rows of ``originals`` → the numbered commit of ``images``

The same landing again makes no new snapshot. Of two machines that ingest at once, the second builds
its revision again on top of the first one's; its packs and its rows of ``originals`` stay valid.
The ledger notes the files only after their snapshot has its number.
"""

import json
import logging
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.alone import alone
from pipelines.data import packing, revisions
from pipelines.data.compaction import compact
from pipelines.data.folders import open_source
from pipelines.data.land import masks, quarantine
from pipelines.data.land.changes import Change, Delivery, changes, delivery_of
from pipelines.data.land.landing import COPY, FILES
from pipelines.data.land.ledger import open_ledger
from pipelines.data.land.originals import LandedFiles
from pipelines.data.land.packs import Packs, Place, ToPack, listed_in
from pipelines.data.land.pseudonyms import load_pseudonyms
from pipelines.data.revisions import latest
from pipelines.data.row_files import read_table
from pipelines.data.rows import Image, Original, schema_of, table_of
from pipelines.data.tables import RevisionTaken, Table
from pipelines.outputs import Landing, Snapshot
from pipelines.provenance import git_commit
from pipelines.spec import DatasetSpec
from pipelines.stage import Context, code_version, fingerprint

__all__ = ["latest", "run"]

logger = logging.getLogger(__name__)


def run(spec: DatasetSpec, context: Context, landing: Landing) -> Snapshot:
    """Add what a landing accepted to the data set, and keep what it refused in quarantine.

    Args:
        spec: the data set.
        context: settings and store.
        landing: the listed files; they must still be where they landed.

    Returns:
        The new snapshot; the newest one that exists if the landing brings nothing new.

    Raises:
        LandingError: a file is gone or has changed since it was landed.
        StoreUnavailable: the store does not answer, or gave back other bytes than it was given.
    """
    snapshot = _add(spec, context, landing)
    open_ledger(context.settings, spec.name).ingested(landing.id)
    return snapshot


def _add(spec: DatasetSpec, context: Context, landing: Landing) -> Snapshot:
    listed = read_table(context.store, f"{landing.path}/{FILES}")
    source = open_source(context.settings, landing.source)
    files = LandedFiles(spec, source, load_pseudonyms(context.settings))
    with _emptied(context.settings.work / "ingest" / spec.name) as work:
        is_refused = pc.and_(pc.is_valid(listed["reason"]), pc.not_equal(listed["reason"], COPY))
        refused = listed.filter(is_refused).to_pylist()
        ingestion = Ingestion(
            spec,
            context,
            landing,
            delivery_of(listed, masks.landed(context, landing)),
            files,
            Packs(context.store, f"{spec.name}/packs", files, work),
            quarantine.keep(spec, context, refused, files=files, work=work),
        )
        while True:
            try:
                return ingestion.attempt()
            except RevisionTaken:
                logger.warning("%s: another machine has ingested images meanwhile", spec.name)


@dataclass(frozen=True)
class Ingestion:
    """One landing on its way into the tables."""

    spec: DatasetSpec
    context: Context
    landing: Landing
    delivery: Delivery
    files: LandedFiles
    packs: Packs
    refused: str | None
    """Store path of what was refused."""

    def attempt(self) -> Snapshot:
        """Commit what is new as the next revision; the newest snapshot where nothing is.

        Raises:
            RevisionTaken: another machine was first.
        """
        context, name = self.context, self.spec.name
        parent = revisions.confirmed(context, name)
        columns = schema_of(Image).remove_metadata()
        known = revisions.state(context, parent, columns.names) if parent else columns.empty_table()
        changed = list(changes(self.delivery, known, self.files.group))
        if parent and not changed:
            logger.info("%s: nothing new; snapshot %s stands", name, parent.id)
            return parent
        used = self._store_originals(changed)
        changed = self._with_masks_stored(changed, known)
        used |= {change.mask.pack for change in changed if change.mask and change.has_new_mask}
        number = revisions.number_of(parent.id) + 1 if parent else 1
        snapshot = self._snapshot(parent, number, changed, known)
        manifest = self._manifest(snapshot, changed, known, used=used)
        rows = table_of([self._row(change, number) for change in changed], Image)
        Table.open(context, name, Image).append(rows, revision=number, note=json.dumps(manifest))
        revisions.confirmed(context, name)
        for row in (Image, Original):
            compact(Table.open(context, name, row))
        return snapshot

    def _store_originals(self, changed: Sequence[Change]) -> set[str]:
        """Pack the images that are not stored yet, and append what opening them has shown.

        Returns:
            The packs that hold images which the data set did not have.
        """
        table = Table.open(self.context, self.spec.name, Original)
        sha256s = pa.array([change.sha256 for change in changed], pa.string())
        columns = ["facts", "sha256", "pack", "row"]
        held = table.arrow(columns, where=pc.field("sha256").isin(sha256s)).to_pylist()
        places = {row["sha256"]: (row["pack"], row["row"]) for row in held}
        new = [
            ToPack(found.sha256, change.files[0].source_path, change.files[0].label, found.format)
            for change in changed
            if (found := change.found) is not None and found.sha256 not in places
        ]
        places |= self.packs.keep(new, name="images")
        known = {row["facts"] for row in held}
        opened = [change.found for change in changed if change.found and change.facts not in known]
        rows = [replace(one, **_at(places[one.sha256])) for one in opened]
        if rows:
            table.append(table_of(rows, Original))
        return {places[change.sha256][0] for change in changed if change.before is None}

    def _with_masks_stored(self, changed: Sequence[Change], known: pa.Table) -> list[Change]:
        """Pack the masks that are not stored yet; the changes, with the places of all masks."""
        drawn = {c.mask.sha256: c.mask for c in changed if c.mask and c.has_new_mask}
        held = known["mask"].filter(pc.is_valid(known["mask"])).to_pylist() if drawn else []
        places = {m["sha256"]: (m["pack"], m["row"]) for m in held if m["sha256"] in drawn}
        new = [
            ToPack(mask.sha256, mask.source_path, None, mask.format)
            for sha256, mask in drawn.items()
            if sha256 not in places
        ]
        places |= self.packs.keep(new, name="masks")
        return [
            replace(change, mask=replace(change.mask, **_at(places[change.mask.sha256])))
            if change.mask and change.has_new_mask
            else change
            for change in changed
        ]

    def _snapshot(
        self, parent: Snapshot | None, number: int, changed: Sequence[Change], known: pa.Table
    ) -> Snapshot:
        identity = fingerprint(parent.id if parent else None, [change.said for change in changed])
        return Snapshot(
            dataset=self.spec.name,
            id=f"{number:04d}-{identity}",
            path=f"{self.spec.name}/snapshots/{number:04d}-{identity}",
            images=(pc.sum(known["copies"]).as_py() or 0) + sum(one.more_files for one in changed),
            added=sum(len(change.new_paths) for change in changed),
            parent=parent.id if parent else None,
            quarantine=self.refused,
        )

    def _row(self, change: Change, revision: int) -> Image:
        labels = {file.label for file in change.files}
        return Image(
            sha256=change.sha256,
            revision=revision,
            first_revision=change.before.first_revision if change.before else revision,
            facts=change.facts,
            files=change.files,
            copies=len(change.files),
            label=labels.pop() if len(labels) == 1 else None,
            mask=change.mask,
            landing=self.landing.id,
            arrived=datetime.now(UTC),
        )

    def _manifest(
        self, snapshot: Snapshot, changed: Sequence[Change], known: pa.Table, *, used: set[str]
    ) -> dict[str, Any]:
        stood = pc.struct_field(known["files"].combine_chunks().flatten(), "label")
        counts = Counter(stood.to_pylist())
        counts.update(file.label for change in changed for file in change.files)
        counts.subtract(file.label for change in changed for file in change.files_before)
        masks = len(known) - known["mask"].null_count + sum(change.more_masks for change in changed)
        folders = sorted({pack.rpartition("/")[0] for pack in used})
        listed = [one for folder in folders for one in listed_in(self.context.store, folder)]
        return {
            "output": snapshot.model_dump(),
            "source": self.spec.source.model_dump(),
            "synthetic": self.spec.synthetic,
            "landing": self.landing.id,
            "counts": dict(sorted((+counts).items())),
            "masks": masks,
            "files": [one for one in listed if one["name"] in used],
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "code": code_version(packing),
            "git_commit": git_commit(),
        }


def _at(place: Place) -> dict[str, Any]:
    return {"pack": place[0], "row": place[1]}


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
