"""Local shards of some of the images of a prepared folder, divided anew.

Rows are copied a few at a time, so memory stays flat, and so are the pooled features that were
computed of them already: a frozen backbone is not asked twice about an image.
"""

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines.data.input.shards import (
    ShardFile,
    ShardManifest,
    Shards,
    SplitFiles,
    read_shards,
)
from pipelines.outputs import SPLITS, SplitName
from pipelines.stage import MANIFEST

ROWS = 256
"""Copied at a time, and in each row group of a copy."""
FEATURES = "features"


@dataclass(frozen=True)
class Part:
    """Rows of a split, and the split they go to."""

    source: SplitName
    chosen: NDArray[np.bool_]
    """(rows of the source,) in file order."""
    target: SplitName


def described(data: Shards, split: SplitName) -> pd.DataFrame:
    """``label`` (index into the classes) and ``group`` of each image of a split, in file order."""
    part = data.split(split)
    read = [pq.read_table(part.folder / s.name, columns=["label", "group"]) for s in part.shards]
    rows: pd.DataFrame = pa.concat_tables(read).select(["label", "group"]).to_pandas()
    return rows


def write_subset(data: Shards, folder: Path, *, parts: tuple[Part, ...]) -> Shards:
    """Shards of the chosen rows; done already if ``folder`` stands.

    Args:
        data: where the rows are.
        folder: of the new shards; stands whole or not at all.
        parts: which rows go where; a split that none goes to is empty.
    """
    if folder.exists():
        return read_shards(folder)
    unfinished = folder.with_name(f".{folder.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    files: dict[SplitName, list[ShardFile]] = {name: [] for name in SPLITS}
    for part in parts:
        for shard, chosen in _by_shard(data, part):
            name = f"{part.target}-from-{shard.name}"
            content = _copy(data.folder / shard.name, unfinished / name, chosen)
            files[part.target].append(
                ShardFile(
                    name=name,
                    rows=int(chosen.sum()),
                    sha256=content,
                    bytes=(unfinished / name).stat().st_size,
                )
            )
            _copy_features(data, shard.name, unfinished / FEATURES, name, chosen)
    manifest = ShardManifest(size=data.size, classes=data.classes, splits=_listed(files))
    (unfinished / MANIFEST).write_text(manifest.model_dump_json())
    unfinished.replace(folder)
    return read_shards(folder)


def _by_shard(data: Shards, part: Part) -> Iterator[tuple[ShardFile, NDArray[np.bool_]]]:
    """Each file of the source split that rows are chosen of, with the choice among its rows."""
    shards = data.split(part.source).shards
    ends = np.cumsum([shard.rows for shard in shards])[:-1]
    for shard, chosen in zip(shards, np.split(part.chosen, ends), strict=True):
        if chosen.any():
            yield shard, chosen


def _copy(source: Path, target: Path, chosen: NDArray[np.bool_]) -> str:
    """Copy the chosen rows of a Parquet file; the copy's sha256."""
    done = 0
    with (
        pq.ParquetFile(source, memory_map=True) as parquet,
        pq.ParquetWriter(target, parquet.schema_arrow, compression="none") as writer,
    ):
        for batch in parquet.iter_batches(batch_size=ROWS):
            kept = batch.filter(pa.array(chosen[done : done + len(batch)]))
            done += len(batch)
            if len(kept):
                writer.write_batch(kept)
    with target.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy_features(
    data: Shards, shard: str, folder: Path, name: str, chosen: NDArray[np.bool_]
) -> None:
    for features in (data.folder / FEATURES).glob(f"*/{shard}"):
        target = folder / features.parent.name / name
        target.parent.mkdir(parents=True, exist_ok=True)
        _copy(features, target, chosen)


def _listed(files: Mapping[SplitName, list[ShardFile]]) -> dict[SplitName, SplitFiles]:
    return {
        name: SplitFiles(rows=sum(file.rows for file in members), files=tuple(members))
        for name, members in files.items()
    }
