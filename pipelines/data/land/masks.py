"""Masks of lesions: pictures beside the images, white where the lesion is.

A mask belongs to the bytes of an image, wherever copies of them stand. What is wrong with a mask
never refuses its image: the mask is listed with the reason, and left out.
"""

import logging
import os
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from pipelines.data.folders import FileState, LandingFolder
from pipelines.data.row_files import MASKED, read_table
from pipelines.outputs import Landing
from pipelines.spec import LandingSpec
from pipelines.spelling import nfc
from pipelines.stage import Context

logger = logging.getLogger(__name__)

MASKS = "masks.parquet"
"""Beside a landing's ``files.parquet``, where masks came."""
ASPECT = 0.02
"""Most that the proportions of mask and image may differ."""
TOLD = 5
"""Refused masks that are told one by one."""

Row = dict[str, Any]
Open = Callable[[list[FileState]], pa.Table]
"""Opens files; `pipelines.data.land.executor.OPENED`."""


def judged(
    spec: LandingSpec, source: LandingFolder, accepted: pa.Table, *, open_files: Open
) -> pa.Table:
    """A row for the mask of each image that has one; see `pipelines.data.row_files.MASKED`.

    Args:
        spec: says where masks stand; no rows if they come with none.
        source: the landing folder.
        accepted: rows of ``files.parquet``, of every accepted image, with ``path``: its own below
            the folder.
        open_files: how files are opened.

    Returns:
        Sorted by the images' paths; copies of an image have one row, but where their masks differ.
    """
    if spec.masks is None:
        return MASKED.empty_table()
    there = {nfc(file.path): file for file in source.all_files()}
    images = accepted.select(["path", "source_path", "sha256", "width", "height"])
    wanted: list[tuple[Row, str, str]] = []
    for image in images.sort_by("path").to_pylist():
        own = spec.masks_of(os.fsdecode(image["path"]))
        named = zip(own, spec.masks_of(image["source_path"]), strict=True)
        wanted += [(image, nfc(mask), name) for mask, name in named if nfc(mask) in there][:1]
    opened = open_files([there[mask] for mask in dict.fromkeys(mask for _, mask, _ in wanted)])
    found = {os.fsdecode(row["path"]): row for row in opened.to_pylist()}
    rows = [_row(name, image, found[there[mask].path]) for image, mask, name in wanted]
    rows = _one_an_image(rows)
    _tell(rows, images=len(accepted))
    return pa.Table.from_pylist(rows, schema=MASKED)


def landed(context: Context, landing: Landing) -> pa.Table:
    """What a landing found of masks, refused ones among them; see `row_files.MASKED`."""
    path = f"{landing.path}/{MASKS}"
    return read_table(context.store, path) if context.store.exists(path) else MASKED.empty_table()


def _one_an_image(rows: list[Row]) -> list[Row]:
    """The first usable mask of each image, and those that are refused: others of the same image
    among them, unless they are the same."""
    first: dict[str, Row] = {}
    kept = []
    for row in rows:
        stands = row if row["reason"] else first.setdefault(row["image"], row)
        if stands is row:
            kept.append(row)
        elif stands["sha256"] != row["sha256"]:
            said = f"{stands['source_path']} shows another lesion in the same picture."
            kept.append(row | {"reason": "ambiguous_mask", "message": said})
    return kept


def _row(called: str, image: Row, found: Row) -> Row:
    reason, message = found["reason"], found["message"]
    if reason is None and not _fits(image, found):
        reason = "mask_shape"
        message = (
            f"The mask is {found['width']} x {found['height']} pixels, its image {image['width']} "
            f"x {image['height']}: their proportions must be alike."
        )
    return {
        "image": image["sha256"],
        "source_path": called,
        "sha256": found["sha256"],
        "bytes": found["size"],
        "format": found["format"],
        "width": found["width"],
        "height": found["height"],
        "reason": reason,
        "message": message,
    }


def _tell(rows: list[Row], *, images: int) -> None:
    """Say how many images have a mask, and which masks cannot be used."""
    refused = [row for row in rows if row["reason"]]
    logger.info("%s masks for %s images", f"{len(rows) - len(refused):,}", f"{images:,}")
    for row in refused[:TOLD]:
        logger.warning("mask %s is left out: %s", row["source_path"], row["message"])
    if len(refused) > TOLD:
        logger.warning("and %d more masks are left out; %s lists all", len(refused) - TOLD, MASKS)


def _fits(image: Row, mask: Row) -> bool:
    """Whether mask and image have the same proportions."""
    ratio = (mask["width"] * image["height"]) / (mask["height"] * image["width"])
    return bool(abs(ratio - 1) <= ASPECT)
