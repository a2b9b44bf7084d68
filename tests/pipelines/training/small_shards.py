"""Small prepared folders of pictures that a network can learn in an epoch or two."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines.data.input.shards import Shards, read_shards
from pipelines.spec import CandidateSpec

SIZE = 64
CLASSES = ("dark", "bright")
COUNTS = {"train": (20, 12), "validation": (8, 8), "test": (4, 4)}
"""Split → images of each class."""


def small_shards(folder: Path, counts: Mapping[str, tuple[int, ...]] = COUNTS) -> Shards:
    """Checkered pictures, one class brighter than the other; two files a split."""
    folder.mkdir(parents=True)
    drawn = np.random.default_rng(7)
    splits: dict[str, Any] = {}
    for split, of_class in counts.items():
        labels = drawn.permutation(np.repeat(np.arange(len(of_class)), of_class))
        parts = np.array_split(labels, 2)
        files = [
            _write(folder / f"{split}-{i:05}.parquet", part, drawn) for i, part in enumerate(parts)
        ]
        splits[split] = {"rows": len(labels), "files": files}
    manifest = {"size": SIZE, "classes": CLASSES, "splits": splits, "more": "is allowed"}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return read_shards(folder)


def candidate(**fields: object) -> CandidateSpec:
    """A candidate that trains in seconds."""
    quick = {"name": "quick", "model": "strided_cnn", "recipe": "scratch", "weights": None}
    return CandidateSpec.model_validate(quick | {"epochs": 4, "batch_size": 8} | fields)


def _write(path: Path, labels: NDArray[Any], drawn: np.random.Generator) -> dict[str, object]:
    fields = drawn.integers(0, 110, (len(labels), 8, 8, 3)) + 90 * labels[:, None, None, None]
    pictures = fields.repeat(SIZE // 8, axis=1).repeat(SIZE // 8, axis=2).astype(np.uint8)
    values = [picture.tobytes() for picture in pictures]
    ids = [hashlib.sha256(value).hexdigest() for value in values]
    columns = {
        "pixels": pa.array(values, pa.binary()),
        "label": pa.array(labels, pa.int32()),
        "sha256": ids,
        "group": ids,
        "source_path": [f"{CLASSES[label]}/{i}.png" for i, label in enumerate(labels)],
    }
    pq.write_table(pa.table(columns), path)
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return {"name": path.name, "rows": len(labels), "sha256": digest, "bytes": len(content)}
