"""A small collection, as each stage would hand it over, for the tests of the stages after it."""

import hashlib
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from pipelines.data import rows as row_types
from pipelines.data.land.landing import LANDED
from pipelines.data.packing import PACKED
from pipelines.data.parquet_files import write_rows
from pipelines.data.revisions import number_of
from pipelines.data.tables import Table
from pipelines.outputs import SPLITS, Landing, Snapshot, Split
from pipelines.spec import DatasetSpec
from pipelines.stage import Context, existing_output
from tests.pipelines.data.recorded import index_of, record, record_split

Row = dict[str, Any]
Change = Callable[[list[Row]], object]
CLASSES = ("bright", "dark")
SIZE = 32


def small_spec(**changes: Any) -> DatasetSpec:
    """Two classes, pictures of 32 pixels, few images enough."""
    return DatasetSpec.model_validate(
        {
            "name": "small",
            "title": "Small",
            "source": {"origin": "Drawn by a test", "licence": "CC0-1.0", "consent": "Not needed"},
            "classes": [{"name": name, "title": name} for name in CLASSES],
            "image": {"size": SIZE},
            "checks": {"min_per_class": 5, "max_imbalance": 3, "max_quarantined": 0.1},
            "candidates": [
                {"name": "a", "model": "strided_cnn", "recipe": "scratch", "weights": None}
            ],
        }
        | changes
    )


def picture(number: int, label: str) -> bytes:
    """A noisy PNG, bright or dark, of a size of its own; the same for the same arguments."""
    noise = np.random.default_rng((number, CLASSES.index(label)))
    level = 170 if label == "bright" else 40
    pixels = noise.normal(level, 20, (40 + number % 7, 48, 3)).clip(0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def images(per_class: int = 10) -> list[Row]:
    """Accepted images as `LANDED` has them, with ``content`` and a ``split``, 6 : 2 : 2."""
    return [_image(number, label) for label in CLASSES for number in range(per_class)]


def _image(number: int, label: str) -> Row:
    content = picture(number, label)
    grey = np.asarray(Image.open(io.BytesIO(content)).convert("L"))
    return {
        "source_path": f"{label}/{number:03}.png",
        "label": label,
        "landing_label": label,
        "group": f"patient-{label}-{number}",
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "format": "PNG",
        "width": grey.shape[1],
        "height": grey.shape[0],
        "mode": "RGB",
        "bits": 8,
        "mean": float(grey.mean()),
        "std": float(grey.std()),
        "content": content,
        "split": SPLITS[(0, 0, 0, 1, 2)[number % 5]],
    }


def landed(context: Context, rows: list[Row], *, identity: str = "landing") -> Landing:
    """A landing that lists ``rows``."""
    path = f"small/landings/{identity}"
    write_rows(context.store, f"{path}/files.parquet", rows, schema=LANDED)
    refused = [row["reason"] for row in rows if row.get("reason")]
    return Landing(
        dataset="small",
        id=identity,
        source="/landing",
        path=path,
        files=len(rows),
        accepted=len(rows) - len(refused),
        quarantined={reason: refused.count(reason) for reason in refused},
    )


def snapshotted(
    context: Context, rows: list[Row], *, identity: str = "0002-b", masks: list[Row] | None = None
) -> Snapshot:
    """A snapshot of ``rows``: the first half of the bytes in its parent's pack, each once. It gets
    another number where its own is taken."""
    taken = Table.open(context, "small", row_types.Image).revision()
    known = existing_output(context, f"small/snapshots/{identity}", Snapshot)
    if known and masks is None and _keys(index_of(context, known)) == _keys(rows):
        return known
    number = max(number_of(identity), taken + 1)
    identity = f"{number:04d}-{identity.partition('-')[2]}"
    path = f"small/snapshots/{identity}"
    contents = {row["sha256"]: row for row in rows}
    half = len(contents) // 2
    packs = {
        "small/snapshots/0001-a/images-00000.parquet": list(contents.values())[:half],
        f"{path}/images-00000.parquet": list(contents.values())[half:],
    }
    places: dict[str, tuple[str, int]] = {}
    for file, members in packs.items():
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(members, schema=PACKED), buffer, row_group_size=3)
        context.store.write(file, buffer.getvalue())
        places |= {row["sha256"]: (file, n) for n, row in enumerate(members)}
    index = [
        {**row, "file": places[row["sha256"]][0], "row": places[row["sha256"]][1]} for row in rows
    ]
    snapshot = Snapshot(
        dataset="small",
        id=identity,
        path=path,
        images=len(rows),
        added=len(rows) - half,
        parent="0001-a",
        quarantine=None,
    )
    return record(context, snapshot, index, masks or [])


def _keys(rows: list[Row]) -> list[tuple[str, str, str]]:
    return sorted((row["sha256"], row["source_path"], row["label"]) for row in rows)


def divided(
    context: Context, snapshot: Snapshot, rows: list[Row], *, identity: str = "split"
) -> Split:
    """The split that ``rows`` have; ``cluster`` is the group where a row names one."""
    return record_split(context, f"small/splits/{identity}", rows, snapshot=snapshot.path)
