"""Getting originals back from the store, identical to the last byte."""

import hashlib
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow.compute as pc

from pipelines.data import packing, revisions
from pipelines.data.revisions import PLACE, Row, latest
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
        what: its source path, or that of a mask or of a refused file (as in the tables; of a DICOM
            file, the pseudonym), or its sha256 (at least the first 8 digits).
        target: the folder; the image's source path is kept below it.

    Returns:
        The files written: several if ``what`` names several images.

    Raises:
        NotFound: the data set has no such image.
        PathRefused: its path leads out of the folder, or another file is there.
        StoreUnavailable: the store gave back other bytes than were landed.
    """
    snapshot = latest(context, dataset)
    index: list[Row] = []
    if snapshot is not None:
        index += revisions.files(context, snapshot, PLACE).to_pylist()
        index += revisions.masks(context, snapshot).select(PLACE).to_pylist()
    refused = Table.open(context, dataset, Refused).arrow(PLACE)
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
    alike = [sha256 for path, sha256 in wanted if path == row["source_path"]]
    if len(alike) > 1:  # landings whose files have the same name
        name = name.with_stem(f"{name.stem}-{row['sha256'][:8]}")
    path = path_inside(target, name.as_posix().replace("\\", "_"))
    if path.exists() and path.read_bytes() != data:
        raise PathRefused(
            f"{path} exists and is another file; nothing was overwritten. Restore into an empty "
            "folder (--to), or move that file away."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def originals(context: Context, rows: Iterable[Row]) -> Iterator[tuple[Row, bytes]]:
    """The originals of rows that have the columns `PLACE`; each pack is fetched once.

    Raises:
        StoreUnavailable: the store gave back other bytes than were landed.
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
            f"{row['pack']}, row {row['row']} ({row['source_path']}), does not have the sha256 it "
            "was stored with: the store has lost it. Check HDFS (hdfs fsck)."
        )
