"""The images that a landing adds to a data set or changes.

A landing only adds images. It overrides the label and the other values of known images. Known
images are Arrow columns; a few thousand at a time become rows, and only changed rows are kept.
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
"""Field of a landed file's metadata: the sha256 of the file, if metadata was removed from it."""
FOUND = tuple(
    field.name
    for field in fields(Original)
    if field.name not in ("facts", "sha256", "pack", "row", "thumbnail")
)
"""Columns that ``facts`` is a fingerprint of."""
BATCH = 4096
"""Images that are compared at a time."""
ItemT = TypeVar("ItemT")
NOT_STORED = ""
"""Pack of bytes that are not stored yet."""


@dataclass(frozen=True)
class Change:
    """An image that a landing adds or changes."""

    sha256: str
    before: Image | None
    files: tuple[File, ...]
    facts: str
    """Key of the row in ``originals``."""
    mask: Mask | None
    """Its pack is `NOT_STORED` if the mask is new."""

    @property
    def has_new_mask(self) -> bool:
        """Whether the mask is new or has changed."""
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
        """The number of files, less that before."""
        return len(self.files) - len(self.files_before)

    @property
    def more_masks(self) -> int:
        """The number of masks, less that before."""
        return bool(self.mask) - bool(self.before and self.before.mask)

    @property
    def content(self) -> list[Any]:
        """The values of the image's row except where its bytes are stored, as JSON values."""
        mask = self.mask and asdict(replace(self.mask, pack=NOT_STORED, row=-1))
        return [self.sha256, self.facts, [asdict(file) for file in self.files], mask]


@dataclass(frozen=True)
class Delivery:
    """The accepted files of a landing, as Arrow columns sorted by image."""

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
        delivery: the accepted files.
        known: the columns of `Image` of all images so far, one row each.
        pseudonym: patient ID → pseudonym; leaves pseudonyms as they are. Earlier releases stored
            the IDs of plain images.
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
        before = {image.sha256: image for image in rows_of(_where(known, "sha256", keys), Image)}
        masks_of = {row["image"]: row for row in _dictionaries(_where(masks, "image", keys))}
        for sha256, rows in part:
            change = _change(
                sha256, before.get(sha256), rows, masks_of.get(sha256), replaced, pseudonym
            )
            if change is not None:
                yield change


def file_of(row: dict[str, Any]) -> File:
    """The `File` of a row of ``files.parquet``."""
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


def original_of(found: dict[str, Any], *, pack: str = NOT_STORED, row: int = -1) -> Original:
    """The `Original` of a row of ``files.parquet``."""
    values: dict[str, Any] = {name: found.get(name) for name in FOUND}
    return Original(
        facts=fingerprint(found["sha256"], values),
        sha256=found["sha256"],
        pack=pack,
        row=row,
        thumbnail=found.get("thumbnail"),
        **values,
    )


def mask_of(found: dict[str, Any], *, pack: str = NOT_STORED, row: int = -1) -> Mask:
    """The `Mask` of a row of ``masks.parquet``."""
    names = [field.name for field in fields(Mask) if field.name not in ("pack", "row")]
    return Mask(pack=pack, row=row, **{name: found[name] for name in names})


def _change(
    sha256: str,
    before: Image | None,
    rows: list[dict[str, Any]],
    mask_row: dict[str, Any] | None,
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
    if mask_row is not None and (
        mask is None or mask_of(mask_row) != replace(mask, pack=NOT_STORED, row=-1)
    ):
        mask = mask_of(mask_row)
    if before is not None:
        facts = rows[0]["facts"] if rows else before.facts
        if (files, facts, mask) == (before.files, before.facts, before.mask):
            return None
        return Change(sha256, before, files, facts, mask)
    return Change(sha256, None, files, rows[0]["facts"], mask)


def _replaced(delivery: Delivery, known: pa.Table) -> set[tuple[str, str]]:
    """Path and sha256 of files that an earlier release stored with metadata and that now landed
    without it."""
    stored = pc.is_in(delivery.rows[LANDED_SHA256], value_set=known["sha256"].combine_chunks())
    rows = delivery.rows.filter(stored).select(["source_path", LANDED_SHA256])
    return {(row["source_path"], row[LANDED_SHA256]) for row in _dictionaries(rows)}


def _named(known: pa.Table, pseudonym: Callable[[str], str]) -> set[str]:
    """sha256 of images with patient IDs that are not pseudonyms yet."""
    listed = known["files"].combine_chunks()
    patients = pc.struct_field(listed.flatten(), "patient")
    plain = [one for one in pc.unique(patients).to_pylist() if one and pseudonym(one) != one]
    if not plain:
        return set()
    of_image = pc.list_parent_indices(listed).filter(pc.is_in(patients, value_set=pa.array(plain)))
    return set(known["sha256"].take(of_image).to_pylist())


def _paths(files: Iterable[File]) -> set[str]:
    return {file.source_path for file in files}


def _where(table: pa.Table, column: str, keys: pa.Array) -> pa.Table:
    """The rows with one of the keys in a column."""
    return table.filter(pc.is_in(table[column], value_set=keys))


def batched(items: Iterable[ItemT]) -> Iterator[list[ItemT]]:
    """Lists of `BATCH` items."""
    remaining = iter(items)
    while part := list(islice(remaining, BATCH)):
        yield part


def _dictionaries(table: pa.Table) -> Iterator[dict[str, Any]]:
    """Rows, converted batch by batch."""
    for batch in table.to_batches(max_chunksize=BATCH):
        yield from batch.to_pylist()
