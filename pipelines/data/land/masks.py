"""Masks of lesions: image files beside the images, white on the lesion.

A mask belongs to the bytes of an image, whatever its path. An unusable mask never refuses its
image: the mask is listed with the reason and ignored.
"""

import logging
import os
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from pipelines.data.folders import FileState, LandingFolder
from pipelines.data.parquet_files import read_table
from pipelines.outputs import Landing
from pipelines.spec import LandingSpec
from pipelines.spelling import nfc
from pipelines.stage import Context

logger = logging.getLogger(__name__)

MASKS = "masks.parquet"
"""File name, beside a landing's ``files.parquet``; missing without masks."""
ASPECT = 0.02
"""Largest relative difference between the proportions of mask and image."""
LOGGED = 5
"""Refused masks that are logged one by one."""

MASKED = pa.schema(
    [
        ("image", pa.string()),
        ("source_path", pa.string()),
        ("sha256", pa.string()),
        ("bytes", pa.int64()),
        ("format", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("reason", pa.string()),
        ("message", pa.string()),
    ]
)
"""``masks.parquet`` of a landing. ``image`` is the sha256 of the accepted image; ``reason`` is null
if the mask is usable."""

Row = dict[str, Any]
Open = Callable[[list[FileState]], pa.Table]
"""Opens files; returns `pipelines.data.land.examine.OPENED`."""


def mask_rows(
    spec: LandingSpec, folder: LandingFolder, accepted: pa.Table, *, open_files: Open
) -> pa.Table:
    """A row for the mask of each image that has one; see `MASKED`.

    Args:
        spec: has the paths of masks.
        folder: the landing folder.
        accepted: rows of ``files.parquet`` of accepted images, with ``path``: the path in the
            folder.
        open_files: opens files.

    Returns:
        Rows sorted by the path of the image; copies of an image have one row unless their masks
        differ.
    """
    if spec.masks is None:
        return MASKED.empty_table()
    existing = {nfc(file.path): file for file in folder.all_files()}
    images = accepted.select(["path", "source_path", "sha256", "width", "height"])
    wanted: list[tuple[Row, str, str]] = []
    for image in images.sort_by("path").to_pylist():
        own = spec.masks_of(os.fsdecode(image["path"]))
        named = zip(own, spec.masks_of(image["source_path"]), strict=True)
        wanted += [(image, nfc(mask), name) for mask, name in named if nfc(mask) in existing][:1]
    opened = open_files([existing[mask] for mask in dict.fromkeys(mask for _, mask, _ in wanted)])
    found = {os.fsdecode(row["path"]): row for row in opened.to_pylist()}
    rows = [_row(name, image, found[existing[mask].path]) for image, mask, name in wanted]
    rows = _one_per_image(rows)
    _log(rows, images=len(accepted))
    return pa.Table.from_pylist(rows, schema=MASKED)


def read_masks(context: Context, landing: Landing) -> pa.Table:
    """The masks of a landing, including refused ones; see `MASKED`."""
    path = f"{landing.path}/{MASKS}"
    return read_table(context.store, path) if context.store.exists(path) else MASKED.empty_table()


def _one_per_image(rows: list[Row]) -> list[Row]:
    """The first usable mask of each image, and all refused ones. Other masks of the same image are
    refused unless they are the same."""
    first: dict[str, Row] = {}
    kept = []
    for row in rows:
        kept_row = row if row["reason"] else first.setdefault(row["image"], row)
        if kept_row is row:
            kept.append(row)
        elif kept_row["sha256"] != row["sha256"]:
            message = f"{kept_row['source_path']} marks another lesion in the same image."
            kept.append(row | {"reason": "ambiguous_mask", "message": message})
    return kept


def _row(name: str, image: Row, found: Row) -> Row:
    reason, message = found["reason"], found["message"]
    if reason is None and not _fits(image, found):
        reason = "mask_shape"
        message = (
            f"The mask is {found['width']} x {found['height']} pixels, its image {image['width']} "
            f"x {image['height']}. Their proportions must be equal."
        )
    return {
        "image": image["sha256"],
        "source_path": name,
        "sha256": found["sha256"],
        "bytes": found["size"],
        "format": found["format"],
        "width": found["width"],
        "height": found["height"],
        "reason": reason,
        "message": message,
    }


def _log(rows: list[Row], *, images: int) -> None:
    """Log the number of masks, and which are unusable."""
    refused = [row for row in rows if row["reason"]]
    logger.info("%s masks for %s images", f"{len(rows) - len(refused):,}", f"{images:,}")
    for row in refused[:LOGGED]:
        logger.warning("mask %s is ignored: %s", row["source_path"], row["message"])
    if len(refused) > LOGGED:
        logger.warning("and %d more masks are ignored; %s lists all", len(refused) - LOGGED, MASKS)


def _fits(image: Row, mask: Row) -> bool:
    """Whether mask and image have the same proportions."""
    ratio = (mask["width"] * image["height"]) / (mask["height"] * image["width"])
    return bool(abs(ratio - 1) <= ASPECT)
