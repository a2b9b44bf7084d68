"""Restores originals from the store, identical byte for byte."""

import hashlib
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow.compute as pc

from pipelines.data import packing, revisions
from pipelines.data.revisions import PACK_COLUMNS, Row, latest
from pipelines.data.rows import Refused
from pipelines.data.tables import Table
from pipelines.errors import NotFound, PathRefused, StoreUnavailable
from pipelines.inside import path_inside
from pipelines.spelling import nfc
from pipelines.stage import Context


def restore(context: Context, dataset: str, *, what: str, target: Path) -> list[Path]:
    """Write an original into a folder.

    Args:
        context: settings and store.
        dataset: the data set it belongs to.
        what: source path of an image, mask or refused file, as in the tables (of a DICOM file, the
            pseudonym), or at least the first 8 digits of the sha256.
        target: the folder; source paths are relative to it.

    Returns:
        The written files; several if ``what`` matches several images.

    Raises:
        NotFound: the data set has no such image.
        PathRefused: the path leads out of the folder, or another file exists there.
        StoreUnavailable: the store returned other bytes than were landed.
    """
    snapshot = latest(context, dataset)
    index: list[Row] = []
    if snapshot is not None:
        index += revisions.files(context, snapshot, PACK_COLUMNS).to_pylist()
        index += revisions.masks(context, snapshot).select(PACK_COLUMNS).to_pylist()
    refused = Table.open(context, dataset, Refused).arrow(PACK_COLUMNS)
    index += refused.filter(pc.is_valid(refused["pack"])).to_pylist()
    wanted = [row for row in index if _is(row, what)]
    if not wanted:
        raise NotFound(
            f"{dataset} has no image {what!r} among {len(index):,}. Name a source path, such as "
            f"{index[0]['source_path']!r}, or the first 8 or more digits of a sha256."
            if index
            else f"{dataset} has no images yet: run `medloop ingest {dataset} FOLDER`."
        )
    once = {(row["source_path"], row["sha256"]): row for row in wanted}
    return [_write(row, data, once, target) for row, data in originals(context, once.values())]


def _is(row: Row, what: str) -> bool:
    is_path = nfc(row["source_path"]) == nfc(what)
    return is_path or (len(what) >= 8 and row["sha256"].startswith(what.lower()))


def _write(row: Row, data: bytes, wanted: Iterable[tuple[str, str]], target: Path) -> Path:
    name = Path(row["source_path"])
    same_path = [sha256 for path, sha256 in wanted if path == row["source_path"]]
    if len(same_path) > 1:  # several files with the same source path
        name = name.with_stem(f"{name.stem}-{row['sha256'][:8]}")
    path = path_inside(target, name.as_posix().replace("\\", "_"))
    if path.exists() and path.read_bytes() != data:
        raise PathRefused(
            f"{path} exists with other content; nothing was overwritten. Restore into an empty "
            "folder (--to), or move the file."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def originals(context: Context, rows: Iterable[Row]) -> Iterator[tuple[Row, bytes]]:
    """The originals of rows with the columns `PACK_COLUMNS`; downloads each pack once.

    Raises:
        StoreUnavailable: the store returned other bytes than were landed.
    """
    by_pack: dict[str, dict[int, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        by_pack[row["pack"]][row["row"]].append(row)
    for file, by_row in sorted(by_pack.items()):
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder) / "pack.parquet"
            context.store.download(file, local)
            for number, data in packing.contents(local, by_row):
                for row in by_row[number]:
                    _require_same(row, data)
                    yield row, data


def _require_same(row: Row, data: bytes) -> None:
    if hashlib.sha256(data).hexdigest() != row["sha256"]:
        raise StoreUnavailable(
            f"{row['pack']}, row {row['row']} ({row['source_path']}), has another sha256 than "
            "when it was stored: the store is damaged. Check HDFS (hdfs fsck)."
        )
