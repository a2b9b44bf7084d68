"""The local cache of prepared images: downloads and verifies each part once.

    <cache>/<dataset>/training_sets/<id>/   rows and manifest of a training set
    <cache>/<dataset>/prepared/<key>/       <part>.npy and lesions/<part>.npy: unpacked parts

Training sets share parts. Missing files are downloaded again, so any file may be deleted.
"""

import json
import logging
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import ValidationError

from pipelines.atomic import written_whole
from pipelines.data.input.arrays import array_file, decode_column
from pipelines.data.input.training_set import LESIONS, TrainingSet
from pipelines.data.prepare.keys import SetManifest, placed
from pipelines.data.prepare.listings import listing_path, part_path
from pipelines.errors import NotFound, StoreUnavailable
from pipelines.hashing import file_digest
from pipelines.outputs import Prepared
from pipelines.progress import track
from pipelines.stage import MANIFEST, Context
from pipelines.storage import Store

logger = logging.getLogger(__name__)

PLACES = "places.parquet"
READ_ROWS = 64
"""Images that are unpacked at a time."""
MISSING = "it is missing"


def fetch(context: Context, prepared: Prepared) -> TrainingSet:
    """Open a training set; download and verify missing parts.

    After a kill, the next call continues.

    Raises:
        NotFound: the training set, or an image of it, does not exist.
        StoreUnavailable: the store does not answer, or a part is damaged (named in the message).
    """
    data, damage = inspect(context, prepared)
    for part, what in damage.items():
        file, listing = (name(prepared.images, part) for name in (part_path, listing_path))
        raise StoreUnavailable(
            f"{context.store.uri(file)} is damaged: {what}. Try again. If that does not help, "
            f"delete this file and {context.store.uri(listing)}, and prepare the data set again; "
            "only the images of this part are prepared."
        )
    return data


def inspect(context: Context, prepared: Prepared) -> tuple[TrainingSet, dict[str, str]]:
    """Like `fetch`, but return damaged parts: name → damage."""
    folder = context.settings.cache / prepared.path
    if not (folder / MANIFEST).is_file():
        _note(context.store, prepared, folder)
    data = read_set(folder)
    damage = _download(context.store, prepared, data)
    if MISSING in damage.values():  # its images were prepared again, and are in other parts
        _note(context.store, prepared, folder)
        data = read_set(folder)
        damage = _download(context.store, prepared, data)
    return data, damage


def read_set(folder: Path) -> TrainingSet:
    """Open a training set that `fetch` has downloaded.

    Raises:
        NotFound: its manifest is missing or invalid.
    """
    file = folder / MANIFEST
    try:
        manifest = SetManifest.model_validate_json(file.read_bytes())
    except (FileNotFoundError, ValidationError) as error:
        raise NotFound(f"{file} is not the manifest of a training set: {error}") from error
    return TrainingSet(
        id=manifest.output.id,
        classes=manifest.classes,
        size=manifest.size,
        folder=folder.parents[2] / manifest.output.images,
        table=pq.read_table(folder / PLACES),
    )


def _note(store: Store, prepared: Prepared, folder: Path) -> None:
    """Save the rows of a training set, then its manifest."""
    manifest = store.read_json(f"{prepared.path}/{MANIFEST}")
    table = placed(store, prepared)
    folder.mkdir(parents=True, exist_ok=True)
    with written_whole(folder / PLACES) as part:
        pq.write_table(table, part, compression="zstd")
    with written_whole(folder / MANIFEST) as part:
        part.write_text(json.dumps(manifest), encoding="utf-8")


def _download(store: Store, prepared: Prepared, data: TrainingSet) -> dict[str, str]:
    """Download missing parts; return part → damage."""
    parts = data.table["part"].unique().to_pylist()
    masked = set(data.table.filter(pc.field("lesion") >= 0)["part"].unique().to_pylist())
    missing = [
        part
        for part in parts
        if not array_file(data.folder, part).is_file()
        or (part in masked and not array_file(data.folder / LESIONS, part).is_file())
    ]
    damage: dict[str, str] = {}
    for part in track(missing, total=len(missing), what="Fetching prepared images (parts)"):
        found = _fetch_part(store, prepared, part, data, masks=part in masked)
        damage |= {part: found} if found else {}
    return damage


def _fetch_part(
    store: Store, prepared: Prepared, part: str, data: TrainingSet, *, masks: bool
) -> str | None:
    """Download, verify and unpack one part; return its damage, if any."""
    packed, shape = data.folder / f".{part}", (data.size, data.size, 3)
    try:
        store.download(part_path(prepared.images, part), packed)
        found = file_digest(packed)
        if found != part:
            return f"its sha256 is {found[:12]}…, not its name"
        with pq.ParquetFile(packed, memory_map=True) as file:
            _unpack(file, "pixels", array_file(data.folder, part), shape)
            if masks:
                _unpack(file, "lesion", array_file(data.folder / LESIONS, part), shape[:2])
    except NotFound:
        return MISSING
    except ValueError:
        return f"its images do not have {data.size} x {data.size} pixels"
    finally:
        packed.unlink(missing_ok=True)
    return None


def _unpack(file: pq.ParquetFile, column: str, target: Path, shape: tuple[int, ...]) -> None:
    """Write a column of a part as an array uint8 (n, *shape), without null values."""
    target.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with written_whole(target) as part, part.open("wb") as array:
        _write_header(array, (file.metadata.num_rows, *shape))
        for batch in file.iter_batches(batch_size=READ_ROWS, columns=[column]):
            values = batch.column(column).drop_null()
            count += len(values)
            array.write(decode_column(values, np.uint8, shape).data)
        array.seek(0)
        _write_header(array, (count, *shape))  # the header has the same length: NumPy pads it


def _write_header(array: BinaryIO, shape: tuple[int, ...]) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(array, header)
