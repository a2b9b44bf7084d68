"""What a delivery costs beside the images that a data set has: the rows, not the bytes.

    .venv/bin/python -m benchmarks.image_table STORE [--images 100000] [--delivery 1000]

STORE is a folder URI, ``file:///…`` or ``hdfs://host:port/…``; the data set ``benchmark`` in it is
left behind. Prints seconds that passed, seconds of CPU, and the peak memory of the process.
"""

import argparse
import json
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipelines.data import revisions
from pipelines.data.land.changes import Change, changes, delivery_of, original_of
from pipelines.data.land.landing import LANDED
from pipelines.data.land.masks import MASKED
from pipelines.data.rows import Image, Original, schema_of, table_of
from pipelines.data.tables import Table
from pipelines.outputs import Snapshot
from pipelines.settings import Settings
from pipelines.stage import Context
from pipelines.storage import open_store

DATASET = "benchmark"
CLASSES = ("glioma", "meningioma", "pituitary", "notumor")


def main() -> None:
    """Fill the tables, then add a delivery: its files alone, and with all files before."""
    options = _options()
    settings = Settings(home=Path("/nonexistent"), store=options.store)
    context = Context(settings, open_store(settings))
    stood, new = _listed(options.images, seed=0), _listed(options.delivery, seed=1)
    _deliver(context, stood, 1, f"{options.images:,} images into empty tables")
    _deliver(context, new, 2, f"{options.delivery:,} new images")
    more = _listed(options.delivery, seed=2)
    whole = pa.concat_tables([stood, new, more])
    _deliver(context, whole, 3, f"{options.delivery:,} new ones among all files before")
    with _timed("read four columns of a snapshot"):
        revisions.state(context, _snapshot(3), ["sha256", "label", "width", "pack"])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store")
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--delivery", type=int, default=1_000)
    return parser.parse_args()


def _deliver(context: Context, listed: pa.Table, number: int, what: str) -> None:
    with _timed(what):
        columns = schema_of(Image).remove_metadata()
        known = columns.empty_table()
        if number > 1:
            known = revisions.state(context, _snapshot(number - 1), columns.names)
        delivery = delivery_of(listed, MASKED.empty_table())
        changed = list(changes(delivery, known, lambda patient: patient))
        found = [_original(change) for change in changed]
        Table.open(context, DATASET, Original).append(table_of(found, Original))
        rows = table_of([_row(change, number) for change in changed], Image)
        Table.open(context, DATASET, Image).append(rows, revision=number)


def _original(change: Change) -> Original:
    found = {"bytes": 20_000, "format": "PNG", "width": 512, "height": 512, "traces": [0.5] * 14}
    about = {"sha256": change.sha256, "thumbnail": bytes(1024)}
    return replace(original_of(found | about, pack="pack", row=0), facts=change.facts)


def _row(change: Change, number: int) -> Image:
    return Image(
        sha256=change.sha256,
        revision=number,
        first_revision=number,
        facts=change.facts,
        files=change.files,
        copies=len(change.files),
        label=change.files[0].label,
        mask=None,
        landing="landing",
        arrived=datetime.now(UTC),
    )


def _snapshot(number: int) -> Snapshot:
    identity = f"{number:04d}-benchmark"
    path = f"{DATASET}/snapshots/{identity}"
    return Snapshot(
        dataset=DATASET, id=identity, path=path, images=1, added=1, parent=None, quarantine=None
    )


def _listed(count: int, *, seed: int) -> pa.Table:
    """Rows of a landing, as wide as those of images."""
    rng = np.random.default_rng(seed)
    raw = rng.bytes(32 * count)
    keys = [raw[32 * n : 32 * n + 32].hex() for n in range(count)]
    labels = rng.choice(CLASSES, count)
    columns = {
        "source_path": [f"train/class/{key[:16]}.png" for key in keys],
        "label": labels,
        "landing_label": labels,
        "group": [key[:16] for key in keys],
        "metadata": [json.dumps({"age": "40", "landed_sha256": key[::-1]}) for key in keys],
        "sha256": keys,
        "bytes": rng.integers(5_000, 50_000, count),
        "format": ["PNG"] * count,
        "width": [512] * count,
        "height": [512] * count,
        "facts": [key[:16] for key in keys],
    }
    made = {
        field.name: pa.array(columns.get(field.name, [None] * count), field.type)
        for field in LANDED
    }
    return pa.table(made, schema=LANDED)


@contextmanager
def _timed(what: str) -> Iterator[None]:
    began, worked = time.perf_counter(), time.process_time()
    yield
    seconds, cpu = time.perf_counter() - began, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{what}: {seconds:.2f} s ({cpu:.2f} s of CPU), peak memory {peak:,.0f} MB", flush=True)


if __name__ == "__main__":
    main()
