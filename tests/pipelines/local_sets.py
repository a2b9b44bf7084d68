"""Training sets on this machine as `pipelines.data.input.cache` leaves them, from drawn images."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines.data.input.arrays import array_file
from pipelines.data.input.cache import PLACES, read_set
from pipelines.data.input.training_set import LESIONS, TrainingSet
from pipelines.data.prepare.keys import PLACED, SetManifest
from pipelines.outputs import Prepared, SplitName

PATH = "tiny/training_sets/aa"


@dataclass(frozen=True)
class Drawn:
    """An image of a training set."""

    split: SplitName
    pixels: NDArray[np.uint8]
    label: int
    path: str
    group: str = ""
    lesion: NDArray[np.uint8] | NDArray[np.bool_] | None = None


def write_set(cache: Path, images: list[Drawn], classes: tuple[str, ...]) -> TrainingSet:
    """A training set of the images, in their order; two parts hold their pixels by turns."""
    prepared = Prepared(
        dataset="tiny", id=cache.name, snapshot="s", split="s", path=PATH, images="tiny/prepared/k",
        rows={},
    )  # fmt: skip
    arrays, folder = cache / prepared.images, cache / PATH
    rows, pixels, lesions = [], {"a": [], "b": []}, {"a": [], "b": []}  # type: ignore[var-annotated]
    for number, one in enumerate(images):
        part = "ab"[number % 2]
        sha256 = hashlib.sha256(one.pixels.tobytes() + one.path.encode()).hexdigest()
        row = {"sha256": sha256, "finder": "", "mask": "", "split": one.split, "label": one.label}
        row |= {"group": one.group or sha256, "source": 0, "source_path": one.path, "part": part}
        row |= {"row": len(pixels[part]), "lesion": -1}
        if one.lesion is not None:
            row |= {"lesion": len(lesions[part])}
            lesions[part].append(one.lesion)
        pixels[part].append(one.pixels)
        rows.append(row)
    for into, found in ((arrays, pixels), (arrays / LESIONS, lesions)):
        into.mkdir(parents=True)
        for part, values in found.items():
            if values:
                np.save(array_file(into, part), np.stack(values))
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=PLACED), folder / PLACES)
    size, origin = len(images[0].pixels), (("s", "s"),)
    manifest = SetManifest(output=prepared, size=size, classes=classes, made_from=origin)
    (folder / "manifest.json").write_text(manifest.model_dump_json())
    return read_set(folder)
