"""Stage 2, ingest: turns a landing into a snapshot.

A snapshot is a new revision of the tables (`pipelines.data.revisions`) with the rows that a landing
adds and changes. It is atomic: the numbered commit of ``images`` creates it. Landing has stored the
bytes (`pipelines.data.land.landing`); this stage writes rows only.

Ingesting the same landing again creates no snapshot. If two machines ingest at once, the second
builds its revision again on top of the first. The ledger records the files after the commit.
"""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.data import packing, revisions
from pipelines.data.folders import open_folder
from pipelines.data.land import masks, quarantine
from pipelines.data.land.changes import Change, Delivery, batched, changes, delivery_of
from pipelines.data.land.landing import FILES
from pipelines.data.land.ledger import open_ledger
from pipelines.data.land.originals import LandedFiles
from pipelines.data.land.pseudonyms import load_pseudonyms
from pipelines.data.parquet_files import read_table
from pipelines.data.revisions import latest
from pipelines.data.rows import Image, Original, Refused, schema_of, table_of
from pipelines.data.tables import RevisionTaken, Table, compact
from pipelines.errors import LandingError
from pipelines.outputs import Landing, Snapshot
from pipelines.provenance import git_commit
from pipelines.spec import DatasetSpec
from pipelines.stage import Context, code_version, fingerprint

__all__ = ["latest", "run"]

logger = logging.getLogger(__name__)

PACK_COLUMNS = ("facts", "sha256", "pack", "row")


def run(spec: DatasetSpec, context: Context, landing: Landing) -> Snapshot:
    """Add the accepted files of a landing to the data set, and the refused ones to quarantine.

    Args:
        spec: the data set.
        context: settings and store.
        landing: the landing; its originals are stored.

    Returns:
        The new snapshot; the newest one if the landing has no changes.

    Raises:
        LandingError: originals were erased or pruned meanwhile.
        StoreUnavailable: the store does not answer.
    """
    snapshot = _add(spec, context, landing)
    open_ledger(context.settings, spec.name).ingested(landing.id)
    return snapshot


def _add(spec: DatasetSpec, context: Context, landing: Landing) -> Snapshot:
    listed = read_table(context.store, f"{landing.path}/{FILES}")
    if "facts" not in listed.column_names:
        raise LandingError(
            f"Landing {landing.id} is of an earlier release. Land {landing.source} again."
        )
    folder = open_folder(context.settings, landing.source)
    files = LandedFiles(spec, folder, load_pseudonyms(context.settings))
    originals = Table.open(context, spec.name, Original).arrow(PACK_COLUMNS)
    ingestion = Ingestion(
        spec,
        context,
        landing,
        delivery_of(listed, masks.read_masks(context, landing)),
        files,
        originals,
        quarantine.append(context, landing, listed, originals),
    )
    while True:
        try:
            return ingestion.attempt()
        except RevisionTaken:
            logger.warning("%s: another machine ingested images meanwhile; trying again", spec.name)


@dataclass(frozen=True)
class Ingestion:
    """The ingestion of one landing."""

    spec: DatasetSpec
    context: Context
    landing: Landing
    delivery: Delivery
    files: LandedFiles
    originals: pa.Table
    """`PACK_COLUMNS` of all originals of the data set."""
    refused: str | None
    """Store path of the table of refused files."""

    def attempt(self) -> Snapshot:
        """Commit the changes as the next revision; return the newest snapshot if there are none.

        Raises:
            RevisionTaken: another machine committed this revision.
        """
        context, name = self.context, self.spec.name
        parent = revisions.confirmed(context, name)
        columns = schema_of(Image).remove_metadata()
        known = revisions.state(context, parent, columns.names) if parent else columns.empty_table()
        number = revisions.number_of(parent.id) + 1 if parent else 1
        revision = Revision(known)
        for changed in batched(changes(self.delivery, known, self.files.group)):
            packs = self._packs_of(changed)
            packed = self._with_packs_of_masks(changed)
            revision.add(packed, [self._row(change, number) for change in packed], packs)
        if parent and not revision.rows:
            logger.info("%s: no changes; the newest snapshot is %s", name, parent.id)
            return parent
        snapshot = self._snapshot(parent, number, revision)
        note = json.dumps(self._manifest(snapshot, revision))
        rows = pa.concat_tables([columns.empty_table(), *revision.rows])
        Table.open(context, name, Image).append(rows, revision=number, note=note)
        revisions.confirmed(context, name)
        for row in (Image, Original, Refused):
            compact(Table.open(context, name, row))
        return snapshot

    def _packs_of(self, changed: Sequence[Change]) -> Counter[str]:
        """Pack → number of images that are new to the data set."""
        facts = pa.array([change.facts for change in changed], pa.string())
        at = self._position("facts", facts)
        is_new = pa.array([change.before is None for change in changed])
        return Counter(self.originals["pack"].take(at.filter(is_new)).to_pylist())

    def _position(self, column: str, values: pa.Array) -> pa.Array:
        """Positions of the originals that have these values.

        Raises:
            LandingError: an original is missing.
        """
        at = pc.index_in(values, value_set=self.originals[column].combine_chunks())
        if at.null_count:
            raise LandingError(
                f"Originals of landing {self.landing.id} are no longer stored "
                f"({at.null_count:,} of {len(at):,} images): they were erased meanwhile. Land "
                f"{self.landing.source} again."
            )
        return at

    def _with_packs_of_masks(self, changed: Sequence[Change]) -> list[Change]:
        """The changes, with pack and row of new masks."""
        masks_of_changes = [c.mask.sha256 for c in changed if c.mask and c.has_new_mask]
        at = self._position("sha256", pa.array(masks_of_changes, pa.string()))
        packs_of_masks = iter(self.originals.select(["pack", "row"]).take(at).to_pylist())
        return [
            replace(change, mask=replace(change.mask, **next(packs_of_masks)))
            if change.mask and change.has_new_mask
            else change
            for change in changed
        ]

    def _snapshot(self, parent: Snapshot | None, number: int, revision: "Revision") -> Snapshot:
        identity = fingerprint(parent.id if parent else None, revision.digest.hexdigest())
        return Snapshot(
            dataset=self.spec.name,
            id=f"{number:04d}-{identity}",
            path=f"{self.spec.name}/snapshots/{number:04d}-{identity}",
            images=revision.images,
            added=revision.added,
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

    def _manifest(self, snapshot: Snapshot, revision: "Revision") -> dict[str, Any]:
        size, packs = self.context.store.size, sorted(revision.packs.items())
        return {
            "output": snapshot.model_dump(),
            "source": self.spec.source.model_dump(),
            "synthetic": self.spec.synthetic,
            "landing": self.landing.id,
            "counts": dict(sorted((+revision.labels).items())),
            "masks": revision.masks,
            "files": [{"name": pack, "bytes": size(pack), "images": n} for pack, n in packs],
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "code": code_version(packing),
            "git_commit": git_commit(),
        }


class Revision:
    """The rows that a landing adds and changes, and the totals of the data set.

    Args:
        known: the images of the data set.
    """

    def __init__(self, known: pa.Table) -> None:
        labels = pc.struct_field(known["files"].combine_chunks().flatten(), "label")
        self.rows: list[pa.Table] = []
        self.digest = hashlib.sha256()
        """Of the values of the rows, except where bytes are stored."""
        self.labels = Counter(labels.to_pylist())
        """Class → number of files."""
        self.packs: Counter[str] = Counter()
        """Pack → number of new images and masks."""
        self.images = pc.sum(known["copies"]).as_py() or 0
        self.masks = len(known) - known["mask"].null_count
        self.added = 0

    def add(self, changed: Sequence[Change], rows: Sequence[Image], packs: Counter[str]) -> None:
        """Add the rows of some changes."""
        self.rows.append(table_of(rows, Image).replace_schema_metadata())
        self.packs.update(packs)
        for one in changed:
            self.digest.update(fingerprint(one.content).encode())
            self.labels.update(file.label for file in one.files)
            self.labels.subtract(file.label for file in one.files_before)
            self.images += one.more_files
            self.masks += one.more_masks
            self.added += len(one.new_paths)
            if one.mask and one.has_new_mask:
                self.packs[one.mask.pack] += 1
