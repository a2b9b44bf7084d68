"""Manifests that stay right when a table beside them changes.

A manifest lists its files with bytes, sha256 and rows; readers verify them. The folder keeps its
name, which stands for the data before the erasure, and ``erased_rows`` counts what went.
"""

import json
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.data import revisions
from pipelines.data.prepare.keys import KEYS_FILE
from pipelines.data.rows import Image
from pipelines.data.tables import Table
from pipelines.erasure.parquet import CONTENT
from pipelines.hashing import file_digest
from pipelines.outputs import SPLITS
from pipelines.stage import MANIFEST
from pipelines.storage import Store

ERASED_ROWS = "erased_rows"
FOLDER_PARTS = 3
"""``<dataset>/<kind>/<id>``: the folder that was committed whole."""


@dataclass(frozen=True)
class Facts:
    """What a manifest may say of a file."""

    rows: int
    images: int
    """Rows that are not empty."""
    bytes: int
    sha256: str
    splits: dict[str, int]
    """Rows of each split, of a table that names them."""


def facts_of(local: Path) -> Facts:
    """The facts of a Parquet file on this machine."""
    with pq.ParquetFile(local) as parquet:
        rows = parquet.metadata.num_rows
        has_empty = CONTENT in parquet.schema_arrow.names
        images = pc.count(parquet.read(["sha256"])["sha256"]).as_py() if has_empty else rows
        named = "split" in parquet.schema_arrow.names
        splits = Counter(parquet.read(["split"])["split"].to_pylist() if named else ())
    return Facts(rows, images, local.stat().st_size, file_digest(local), dict(splits))


def folder_of(path: str) -> str:
    """The folder that was committed whole and that a file belongs to."""
    return "/".join(path.split("/")[:FOLDER_PARTS])


def amend(store: Store, path: str, facts: Facts, *, erased: int) -> None:
    """Let the manifest say what a file is like by now; does nothing where there is no manifest.

    Args:
        store: where both are.
        path: of the table.
        facts: of the table.
        erased: rows that went.
    """
    place = f"{folder_of(path)}/{MANIFEST}"
    if not store.exists(place):
        return
    manifest = store.read_json(place)
    for listed in _entries(manifest, {path, path.rpartition("/")[2]}):
        for name, value in vars(facts).items():
            if name in listed:
                listed[name] = value
    if path.endswith(f"/{KEYS_FILE}"):
        manifest["output"]["rows"] = {name: facts.splits.get(name, 0) for name in SPLITS}
    manifest[ERASED_ROWS] = manifest.get(ERASED_ROWS, 0) + erased
    _write(store, place, manifest)


def count_again(store: Store, dataset: str) -> None:
    """Let the manifests of snapshots say how many images the table ``images`` has by now, and how
    many of them each has added."""
    table = Table(store, f"{dataset}/tables/{Image.table}", Image)
    rows = table.arrow(["sha256", "revision", "copies"])
    by_image = rows.sort_by([("sha256", "ascending"), ("revision", "ascending")]).to_pandas()
    more = by_image["copies"] - by_image.groupby("sha256")["copies"].shift(fill_value=0)
    added = more.clip(lower=0).groupby(by_image["revision"]).sum()
    for name in revisions.in_order(store.names(f"{dataset}/snapshots")):
        place = f"{dataset}/snapshots/{name}/{MANIFEST}"
        number = revisions.number_of(name)
        until = rows.filter(pc.less_equal(rows["revision"], number))
        images = pc.sum(revisions.newest(until, ["sha256"])["copies"]).as_py() or 0
        manifest = store.read_json(place)
        output = manifest["output"]
        left = {"images": images, "added": min(output["added"], int(added.get(number, 0)))}
        if left != {field: output[field] for field in left}:
            output |= left
            _write(store, place, manifest)


def _write(store: Store, path: str, manifest: dict[str, Any]) -> None:
    text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False)
    store.overwrite(path, text.encode() + b"\n")


def renew(store: Store, path: str, *, erased: int) -> None:
    """The same, of a table that an erasure changed before it was cut short."""
    with tempfile.TemporaryDirectory(prefix="medloop-") as folder:
        local = Path(folder) / "table.parquet"
        store.download(path, local)
        amend(store, path, facts_of(local), erased=erased)


def _entries(value: Any, names: set[str]) -> list[dict[str, Any]]:
    """The objects, at any depth, that describe the file with one of these names."""
    found = []
    if isinstance(value, dict):
        if value.get("name") in names and "sha256" in value:
            found.append(value)
        found += [entry for one in value.values() for entry in _entries(one, names)]
    elif isinstance(value, list):
        found += [entry for one in value for entry in _entries(one, names)]
    return found
