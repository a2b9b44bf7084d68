"""Takes in a landing folder and prepares it: what `benchmarks.prove_cluster` runs as the driver.

    python -m benchmarks.cluster_job FOLDER

Reads the installation's settings. Says on standard output which step begins, and at the end what
is in the store, as one line of JSON.
"""

import hashlib
import io
import json
import sys
from typing import Any

import pyarrow.parquet as pq

from pipelines.data.land import ingest, landing
from pipelines.data.prepare import prepare
from pipelines.data.split import split
from pipelines.outputs import Prepared, Snapshot
from pipelines.settings import get_settings
from pipelines.spec import load_spec
from pipelines.stage import MANIFEST, Context
from pipelines.storage import open_store

DATASET = "phantom"


def main() -> None:
    """Run the steps that do the data's work."""
    settings = get_settings()
    spec = load_spec(DATASET)
    context = Context(settings=settings, store=open_store(settings))
    print("STEP landing", flush=True)
    landed = landing.run(spec, context, sys.argv[1])
    print("STEP ingest", flush=True)
    snapshot = ingest.run(spec, context, landed)
    division = split.run(spec, context, snapshot)
    print("STEP prepare", flush=True)
    prepared = prepare.run(spec, context, snapshot, division)
    print("RESULT", json.dumps(_result(context, snapshot, prepared)), flush=True)


def _result(context: Context, snapshot: Snapshot, prepared: Prepared) -> dict[str, Any]:
    """The images of the snapshot, a hash of each prepared file, and what else a reader can see."""
    store = context.store
    index = pq.read_table(io.BytesIO(store.read(f"{snapshot.path}/index.parquet")))
    packed = [
        sha256
        for file in sorted(set(index.column("file").to_pylist()))
        for sha256 in pq.read_table(io.BytesIO(store.read(file))).column("sha256").to_pylist()
    ]
    return {
        "images": sorted(index.column("sha256").to_pylist()),
        "packed": sorted(packed),
        "prepared": {
            name: hashlib.sha256(store.read(f"{prepared.path}/{name}")).hexdigest()
            for name in store.names(prepared.path)
            if name != MANIFEST
        },
        "snapshots": store.names(f"{DATASET}/snapshots"),
        "prepared_versions": store.names(f"{DATASET}/prepared"),
    }


if __name__ == "__main__":
    main()
