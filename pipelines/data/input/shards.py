"""Prepared shards on this machine: fetched once, checked, and read with memory that stays flat.

A prepared folder holds ``{train,validation,test}-*.parquet`` with one row an image (``pixels``:
size * size * 3 bytes, uint8 RGB, row by row; ``label``: index into the classes; ``sha256``;
``group``; ``source_path``; ``source``) and a ``manifest.json`` that lists each file with rows,
bytes and sha256. `fetch` copies one from the store, `read_shards` opens a local copy,
`Split.batches` iterates it in file order. For shuffled training input see
`pipelines.data.input.streams`.
"""

import hashlib
import json
import logging
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from pipelines.atomic import written_whole
from pipelines.errors import NotFound, StoreUnavailable
from pipelines.inside import InsidePath
from pipelines.outputs import SPLITS, SplitName
from pipelines.stage import MANIFEST
from pipelines.storage import Store

logger = logging.getLogger(__name__)

BLOCK_BYTES = 1 << 20
PROGRESS_SECONDS = 3.0
READ_AT_ONCE = 64
"""Pictures in memory while some are looked for."""


class Listed(BaseModel):
    """What readers need of a manifest's entries; it may say more."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ShardFile(Listed):
    """One Parquet file."""

    name: InsidePath
    rows: int
    sha256: str
    bytes: int


class SplitFiles(Listed):
    """The files of one split, in order."""

    rows: int
    files: tuple[ShardFile, ...]


class ShardManifest(Listed):
    """What a prepared folder holds."""

    size: int
    """Side of the square images in pixels."""
    classes: tuple[str, ...]
    splits: dict[SplitName, SplitFiles]


class Batch(NamedTuple):
    """Consecutive images of a split."""

    images: NDArray[np.uint8]
    """(n, size, size, 3) RGB."""
    labels: NDArray[np.int32]
    """(n,) index into the classes."""
    ids: list[str]
    """sha256 of each original."""
    paths: list[str]
    """Each original's path in its landing folder."""


@dataclass(frozen=True)
class Split:
    """One split of a local prepared folder."""

    folder: Path
    size: int
    shards: tuple[ShardFile, ...]

    @property
    def rows(self) -> int:
        """Number of images."""
        return sum(shard.rows for shard in self.shards)

    def labels(self) -> NDArray[np.int32]:
        """(rows,) index into the classes, in file order."""
        columns = [
            pq.read_table(self.folder / shard.name, columns=["label"])["label"].to_numpy()
            for shard in self.shards
        ]
        return np.concatenate([np.empty(0, np.int32), *columns]).astype(np.int32)

    def column(self, name: str) -> NDArray[Any] | None:
        """(rows,) a column of numbers or texts, in file order; ``None`` if the files have none."""
        files = [self.folder / shard.name for shard in self.shards]
        if any(name not in pq.read_schema(file).names for file in files):
            return None
        return np.concatenate([pq.read_table(f, columns=[name])[name].to_numpy() for f in files])

    def batches(self, batch_size: int) -> Iterator[Batch]:
        """Every image once, in file order; a file's last batch may be smaller."""
        for shard in self.shards:
            yield from read_batches(self.folder / shard.name, size=self.size, rows=batch_size)

    def pictures(self, positions: Collection[int]) -> dict[int, NDArray[np.uint8]]:
        """The pictures at some positions in file order: position → (size, size, 3)."""
        wanted, start = set(positions), 0
        found = {}
        for batch in self.batches(READ_AT_ONCE):
            for position, picture in enumerate(batch.images, start):
                if position in wanted:
                    found[position] = picture.copy()
            start += len(batch.images)
        return found


@dataclass(frozen=True)
class Shards:
    """A local prepared folder."""

    folder: Path
    manifest: ShardManifest

    @property
    def size(self) -> int:
        """Side of the square images in pixels."""
        return self.manifest.size

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the labels."""
        return self.manifest.classes

    def split(self, name: SplitName) -> Split:
        """One of ``train``, ``validation``, ``test``."""
        files = self.manifest.splits[name].files
        return Split(folder=self.folder, size=self.manifest.size, shards=files)


def read_batches(file: Path, *, size: int, rows: int) -> Iterator[Batch]:
    """The images of one Parquet file in order, at most ``rows`` at a time."""
    columns = ["pixels", "label", "sha256", "source_path"]
    with pq.ParquetFile(file, memory_map=True) as parquet:
        for batch in parquet.iter_batches(batch_size=rows, columns=columns):
            yield Batch(
                images=decode_column(batch.column("pixels"), np.uint8, (size, size, 3)),
                labels=batch.column("label").to_numpy().astype(np.int32),
                ids=batch.column("sha256").to_pylist(),
                paths=batch.column("source_path").to_pylist(),
            )


def decode_column(column: Any, dtype: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """A binary Arrow column, each value the bytes of one array, as (n, *shape).

    Raises:
        ValueError: the values are not of that size.
    """
    joined = b"".join(value.as_buffer() for value in column)
    return np.frombuffer(joined, dtype).reshape(len(column), *shape)


def read_shards(folder: Path) -> Shards:
    """Open a local prepared folder.

    Raises:
        NotFound: its manifest is missing or not one.
    """
    path = folder / MANIFEST
    try:
        manifest = ShardManifest.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError) as error:
        raise NotFound(f"{path} is no manifest of prepared shards: {error}") from error
    return Shards(folder=folder, manifest=manifest)


def fetch(store: Store, path: str, cache: Path) -> Shards:
    """Open the prepared folder ``path`` of a store through its copy in ``cache``.

    What is there already is not fetched again, so a killed fetch goes on where it stopped; the
    manifest arrives last, so a copy with a manifest is whole.

    Raises:
        NotFound: the store has no such folder.
        StoreUnavailable: a file arrived other than its manifest says.
    """
    folder = cache / path
    if not (folder / MANIFEST).is_file():
        content = store.read_json(f"{path}/{MANIFEST}")
        manifest = ShardManifest.model_validate(content)
        _download(store, path, folder, manifest)
        with written_whole(folder / MANIFEST) as part:
            part.write_text(json.dumps(content), encoding="utf-8")
    return read_shards(folder)


def _download(store: Store, path: str, folder: Path, manifest: ShardManifest) -> None:
    files = [file for name in SPLITS for file in manifest.splits[name].files]
    total = sum(file.bytes for file in files)
    done, told = 0, time.monotonic()
    for file in files:
        local = folder / file.name
        if not (local.is_file() and _digest(local) == file.sha256):
            store.download(f"{path}/{file.name}", local)
            _require_intact(local, file, source=store.uri(path))
        done += file.bytes
        if time.monotonic() - told > PROGRESS_SECONDS or done == total:
            told = time.monotonic()
            logger.info("shards: %.0f of %.0f MB are here", done / 1e6, total / 1e6)


def _require_intact(local: Path, file: ShardFile, *, source: str) -> None:
    found = _digest(local)
    if found != file.sha256:
        local.unlink()
        raise StoreUnavailable(
            f"{source}/{file.name} arrived with sha256 {found[:12]}…, its manifest says "
            f"{file.sha256[:12]}…; try again, and prepare the data anew if it stays so."
        )


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as source:
        while block := source.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
