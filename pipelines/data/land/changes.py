"""What a landing adds to a data set's images, and what it changes about them.

Images are only ever added. What a landing says about bytes is newer than what was said about the
same bytes before: their label and the rest follow it. The known images are Arrow columns; a few
thousand at a time become rows, and only those that change are kept.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from itertools import chain, groupby, islice
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.data.rows import File, Image, Mask, Original, rows_of
from pipelines.stage import fingerprint

LANDED_SHA256 = "landed_sha256"
"""Field of a landed file's metadata: the sha256 of the file, where metadata was removed from it."""
FOUND = tuple(
    field.name
    for field in fields(Original)
    if field.name not in ("facts", "sha256", "pack", "row", "thumbnail")
)
"""Columns that make two examinations of the same bytes differ."""
BATCH = 4096
"""Images that are compared at a time."""
ItemT = TypeVar("ItemT")
NOWHERE = ""
"""The pack of bytes that are not stored yet."""


@dataclass(frozen=True)
class Change:
    """An image that is new, or about which something new is said."""

    sha256: str
    before: Image | None
    files: tuple[File, ...]
    facts: str
    """Key of the row in ``originals``."""
    mask: Mask | None
    """Its pack is `NOWHERE` where it is another than before."""

    @property
    def has_new_mask(self) -> bool:
        """Whether the mask is another than before."""
        return self.mask is not None and self.mask != (self.before and self.before.mask)

    @property
    def files_before(self) -> tuple[File, ...]:
        """The files that had these bytes before."""
        return self.before.files if self.before else ()

    @property
    def new_paths(self) -> set[str]:
        """Paths of files that are new."""
        return _paths(self.files) - _paths(self.files_before)

    @property
    def more_files(self) -> int:
        """How many files more than before."""
        return len(self.files) - len(self.files_before)

    @property
    def more_masks(self) -> int:
        """How many masks more than before."""
        return bool(self.mask) - bool(self.before and self.before.mask)

    @property
    def said(self) -> list[Any]:
        """What the image's row says, wherever its bytes are stored; JSON."""
        mask = self.mask and asdict(replace(self.mask, pack=NOWHERE, row=-1))
        return [self.sha256, self.facts, [asdict(file) for file in self.files], mask]


@dataclass(frozen=True)
class Delivery:
    """What a landing has accepted, as Arrow columns sorted by image."""

    rows: pa.Table
    """``files.parquet`` of the landing without refused files, with `LANDED_SHA256`."""
    masks: pa.Table
    """``masks.parquet`` of the landing without refused masks; may be empty."""


def delivery_of(listed: pa.Table, masks: pa.Table) -> Delivery:
    """The accepted rows of a landing's tables."""
    rows = listed.filter(pc.is_null(listed["reason"]))
    order = [("sha256", "ascending"), ("source_path", "ascending")]
    rows = rows.sort_by(order)
    landed = [json.loads(text or "{}").get(LANDED_SHA256) for text in rows["metadata"].to_pylist()]
    rows = rows.append_column(LANDED_SHA256, pa.array(landed, pa.string()))
    usable = masks.filter(pc.is_null(masks["reason"]))
    return Delivery(rows, usable.sort_by("image"))


def changes(
    delivery: Delivery, known: pa.Table, pseudonym: Callable[[str], str]
) -> Iterator[Change]:
    """The images that a delivery adds or changes, by sha256.

    Args:
        delivery: what has landed.
        known: the columns of `Image` of all images so far, one row each.
        pseudonym: of a patient's ID; one that is a pseudonym stays. Earlier releases kept the IDs
            of plain images as they were.
    """
    replaced = _replaced(delivery, known)
    others = {sha256 for _, sha256 in replaced} | _named(known, pseudonym)
    if others:
        others -= set(delivery.rows["sha256"].to_pylist())
    masks = delivery.masks
    groups = groupby(_dictionaries(delivery.rows), key=lambda row: str(row["sha256"]))
    landed = ((sha256, list(rows)) for sha256, rows in groups)
    unchanged: list[dict[str, Any]] = []
    for part in batched(chain(landed, ((sha256, unchanged) for sha256 in sorted(others)))):
        keys = pa.array([sha256 for sha256, _ in part])
        before = {image.sha256: image for image in rows_of(_at(known, "sha256", keys), Image)}
        drawn = {row["image"]: row for row in _dictionaries(_at(masks, "image", keys))}
        for sha256, rows in part:
            change = _change(
                sha256, before.get(sha256), rows, drawn.get(sha256), replaced, pseudonym
            )
            if change is not None:
                yield change


def file_of(row: dict[str, Any]) -> File:
    """What a landed file's row says about it."""
    metadata = json.loads(row.get("metadata") or "{}")
    return File(
        source_path=row["source_path"],
        label=row["label"],
        landing_label=row.get("landing_label"),
        declared_split=row.get("declared_split"),
        patient=row.get("group"),
        landed_sha256=metadata.pop(LANDED_SHA256, None),
        metadata=metadata,
    )


def original_of(row: dict[str, Any], *, pack: str = NOWHERE, place: int = -1) -> Original:
    """What opening a landed file has shown, as its row lists it."""
    found: dict[str, Any] = {name: row.get(name) for name in FOUND}
    return Original(
        facts=fingerprint(row["sha256"], found),
        sha256=row["sha256"],
        pack=pack,
        row=place,
        thumbnail=row.get("thumbnail"),
        **found,
    )


def mask_of(row: dict[str, Any], *, pack: str = NOWHERE, place: int = -1) -> Mask:
    """A landed mask, as its row lists it."""
    names = [field.name for field in fields(Mask) if field.name not in ("pack", "row")]
    return Mask(pack=pack, row=place, **{name: row[name] for name in names})


def _change(
    sha256: str,
    before: Image | None,
    rows: list[dict[str, Any]],
    drawn: dict[str, Any] | None,
    replaced: set[tuple[str, str]],
    pseudonym: Callable[[str], str],
) -> Change | None:
    landed = [file_of(row) for row in rows]
    labels = {file.label for file in landed}
    kept = [
        replace(file, patient=file.patient and pseudonym(file.patient))
        for file in (before.files if before else ())
        if (file.source_path, sha256) not in replaced and (not labels or file.label in labels)
    ]
    by_path = {file.source_path: file for file in (*kept, *landed)}
    files = tuple(file for _, file in sorted(by_path.items()))
    mask = before.mask if before else None
    if drawn is not None and (
        mask is None or mask_of(drawn) != replace(mask, pack=NOWHERE, row=-1)
    ):
        mask = mask_of(drawn)
    if before is not None:
        facts = rows[0]["facts"] if rows else before.facts
        if (files, facts, mask) == (before.files, before.facts, before.mask):
            return None
        return Change(sha256, before, files, facts, mask)
    return Change(sha256, None, files, rows[0]["facts"], mask)


def _replaced(delivery: Delivery, known: pa.Table) -> set[tuple[str, str]]:
    """Path and sha256 of files that an earlier release stored with their metadata, and of which
    the original without it has landed."""
    stored = pc.is_in(delivery.rows[LANDED_SHA256], value_set=known["sha256"].combine_chunks())
    rows = delivery.rows.filter(stored).select(["source_path", LANDED_SHA256])
    return {(row["source_path"], row[LANDED_SHA256]) for row in _dictionaries(rows)}


def _named(known: pa.Table, pseudonym: Callable[[str], str]) -> set[str]:
    """sha256 of images whose patients' IDs are not pseudonyms yet."""
    listed = known["files"].combine_chunks()
    patients = pc.struct_field(listed.flatten(), "patient")
    plain = [one for one in pc.unique(patients).to_pylist() if one and pseudonym(one) != one]
    if not plain:
        return set()
    of_image = pc.list_parent_indices(listed).filter(pc.is_in(patients, value_set=pa.array(plain)))
    return set(known["sha256"].take(of_image).to_pylist())


def _paths(files: Iterable[File]) -> set[str]:
    return {file.source_path for file in files}


def _at(table: pa.Table, column: str, keys: pa.Array) -> pa.Table:
    """The rows of a table that have one of some keys."""
    return table.filter(pc.is_in(table[column], value_set=keys))


def batched(items: Iterable[ItemT]) -> Iterator[list[ItemT]]:
    """Items, `BATCH` at a time."""
    remaining = iter(items)
    while part := list(islice(remaining, BATCH)):
        yield part


def _dictionaries(table: pa.Table) -> Iterator[dict[str, Any]]:
    """Rows, made batch by batch."""
    for batch in table.to_batches(max_chunksize=BATCH):
        yield from batch.to_pylist()
