"""The data's work of one retraining, or all of it: what `benchmarks.prove_cluster` runs as driver.

    python -m benchmarks.cluster_job FOLDER [--retrain] [--spread]

Reads the installation's settings. Prints which step begins, and at the end what is in the store, as
one line of JSON. With ``--retrain`` it also checks, profiles, trains, selects and judges, as the
retraining DAG does. With ``--spread`` it copies the folder into HDFS first, and Spark's executors
land it.
"""

import argparse
import hashlib
import io
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow.parquet as pq

from pipelines import loop
from pipelines.data import revisions
from pipelines.data.land import opening
from pipelines.data.rows import Original
from pipelines.data.tables import Table
from pipelines.loop.opening import opened
from pipelines.outputs import CheckReport, Prepared, Snapshot, Split
from pipelines.settings import Settings, get_settings
from pipelines.stage import Context
from pipelines.storage.hdfs import HdfsStore
from pipelines.tracking.client import open_tracking
from pipelines.tracking.keras_models import FILE, fetch_model

DATASET = "phantom"
SPREAD_BYTES = 200_000
"""Of the files of a task, with ``--spread``: so few that a small folder makes many tasks."""
DIGITS = 6
"""Of figures that Spark's executors sum in an order of their own."""


def main() -> None:
    """Run the steps."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--retrain", action="store_true")
    parser.add_argument("--spread", action="store_true")
    options = parser.parse_args()
    (get_settings().home).mkdir(parents=True, exist_ok=True)
    _, context = opened(DATASET)
    folder = _spread(context.settings, options.folder) if options.spread else options.folder
    _say("landing")
    landed = loop.land(DATASET, folder)
    checks = [loop.check_landing(DATASET, landed)] if options.retrain else []
    _say("ingest")
    snapshot = loop.ingest(DATASET, landed)
    split = loop.split(DATASET, snapshot)
    checks += [loop.check_snapshot(DATASET, snapshot, split)] if options.retrain else []
    _say("prepare")
    prepared = loop.prepare(DATASET, snapshot, split)
    result = _stored(context, snapshot, prepared)
    if options.retrain:
        checks.append(loop.check_prepared(DATASET, prepared))
        result |= _trained(context, split, prepared, checks)
    print("RESULT", json.dumps(result), flush=True)


def _spread(settings: Settings, folder: str) -> str:
    """Copy a folder into HDFS unless an earlier run did; where it is there."""
    path = urlsplit(str(settings.store)).path + "-landing"
    place = f"hdfs://{path}"
    client = HdfsStore(place, webhdfs=settings.webhdfs, user=settings.hdfs_user).client
    if client.status(path, strict=False) is None:
        client.upload(path, folder)
    opening.TASK_BYTES = SPREAD_BYTES
    return place


def _say(step: str) -> None:
    print(f"STEP {step}", flush=True)


def _stored(context: Context, snapshot: Snapshot, prepared: Prepared) -> dict[str, Any]:
    """The images of the snapshot, the originals in its packs (those of refused images, too), the
    pixels of each prepared image, and what else a reader can see."""
    store = context.store
    index = revisions.files(context, snapshot, ["sha256", "pack"])
    packed = [
        sha256
        for file in sorted(set(index.column("pack").to_pylist()))
        for sha256 in pq.read_table(io.BytesIO(store.read(file))).column("sha256").to_pylist()
    ]
    images = sorted(set(index.column("sha256").to_pylist()))
    known = Table.open(context, DATASET, Original).arrow(["sha256"])["sha256"].to_pylist()
    pixels = sorted(
        f"{row['sha256']} {hashlib.sha256(row['pixels']).hexdigest()}"
        for name in store.names(f"{prepared.images}/parts")
        for row in pq.read_table(
            io.BytesIO(store.read(f"{prepared.images}/parts/{name}")), columns=["sha256", "pixels"]
        ).to_pylist()
    )
    return {
        "images": (len(images), hashlib.sha256("".join(images).encode()).hexdigest()),
        "originals": (
            len(set(known)),
            hashlib.sha256("".join(sorted(set(known))).encode()).hexdigest(),
        ),
        "packed": (len(packed), hashlib.sha256("".join(sorted(packed)).encode()).hexdigest()),
        "pixels": (len(pixels), hashlib.sha256("".join(pixels).encode()).hexdigest()),
        "training_set": prepared.id,
        "snapshots": store.names(f"{DATASET}/snapshots"),
        "training_sets": store.names(f"{DATASET}/training_sets"),
    }


def _trained(
    context: Context, split: Split, prepared: Prepared, checks: list[CheckReport]
) -> dict[str, Any]:
    """Train and judge; the weights of each candidate, its figures, and the verdict."""
    _say("profile")
    profile = loop.profile_data(DATASET, prepared)
    _say("train")
    trained = [loop.train(DATASET, prepared, name) for name in loop.candidates(DATASET)]
    _say("evaluate")
    evaluated = [loop.evaluate(DATASET, prepared, one) for one in trained]
    challenger = loop.select(DATASET, prepared, evaluated)
    verdict = loop.gate(DATASET, prepared, challenger)
    return {
        "checks": [(check.gate, check.passed, check.expectations) for check in checks],
        "split": split.counts,
        "profiled": profile.images,
        "weights": {
            one.candidate: _weights(context, one.run_id)
            for one in trained
            if open_tracking(context.settings).has_artifact(one.run_id, FILE)
        },
        "figures": {
            one.candidate: {name: round(value, DIGITS) for name, value in one.test.items()}
            for one in evaluated
        },
        "selected": challenger.candidate,
        "rules": [(rule.rule, round(rule.value, DIGITS), rule.passed) for rule in verdict.rules],
    }


def _weights(context: Context, run_id: str) -> str:
    """SHA-256 of a candidate's weights."""
    import keras

    file = fetch_model(open_tracking(context.settings), run_id, cache=Path(context.settings.cache))
    digest = hashlib.sha256()
    for weights in keras.saving.load_model(file, compile=False).get_weights():
        digest.update(weights.tobytes())
    return digest.hexdigest()


if __name__ == "__main__":
    main()
