"""Scores as the tests look at them, and folders of every kind of file to make them of."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from pipelines.outputs import Scores
from pipelines.phantom import generate
from pipelines.stage import MANIFEST, Context
from tests.pipelines.imaging.pictures import colours, file_of, greys
from tests.pipelines.imaging.scans import scan_of
from tests.serving.bundles import png


def table(context: Context, scores: Scores) -> list[dict[str, Any]]:
    """All rows of scores, file by file."""
    names = [name for name in context.store.names(scores.path) if name != MANIFEST]
    files = [io.BytesIO(context.store.read(f"{scores.path}/{name}")) for name in names]
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def draw_every_kind(folder: Path) -> dict[str, bytes]:
    """Phantoms, pictures of other kinds, and files that cannot be read: path → content."""
    generate(folder / "phantoms", seed=3, images=30, size=64)
    transparent = Image.fromarray(np.dstack([colours(), greys()]), "RGBA")
    for name, content in {
        "grey.png": file_of(greys(), "PNG"),
        "transparent.png": file_of(transparent, "PNG"),
        "scan.dcm": scan_of(greys()),
        "scan without a suffix": scan_of(greys(seed=1)),
        "cut off.png": png()[:300],
        "empty.jpg": b"",
        "note.txt": b"Not a picture.",
        "blätter/üß.png": png(7),
    }.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
