"""What a Delta table of images costs, next to one Parquet index that is rewritten each time.

    uv run --no-project --with deltalake==1.6.6,pyarrow,numpy,psutil,pandas \
        python benchmarks/image_table.py STORE [--rows 100000] [--thumbnails]

STORE is a folder URI, ``file:///…`` or ``hdfs://host:port/…``; the tables in it are left behind.
Prints seconds and peak memory of appending, merging, deleting, reading and vacuuming, and what two
writers at once get. The script needs `deltalake` only, so that it runs before the project does.
"""

import argparse
import io
import json
import multiprocessing
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError

DELIVERY = 1_000
WRITERS = 2
COMMITS_EACH = 5
CONFIGURATION = {"delta.dataSkippingStatsColumns": "since,until"}


def main() -> None:
    """Run every measurement."""
    options = _options()
    table = f"{options.store.rstrip('/')}/images-{options.rows}"
    rows = _rows(options.rows, seed=0, thumbnails=options.thumbnails)
    with _timed(f"create with {options.rows:,} rows"):
        write_deltalake(table, rows, configuration=CONFIGURATION)
    new = _rows(DELIVERY, seed=1, thumbnails=options.thumbnails)
    for _ in range(3):
        with _timed(f"append {DELIVERY:,} rows"):
            write_deltalake(table, new, mode="append")
    _change(table, rows)
    _read(table, rows)
    _compete(table, options.thumbnails)
    with _timed("compact"):
        DeltaTable(table).optimize.compact()
    with _timed("vacuum, keeping version 0"):
        gone = DeltaTable(table).vacuum(
            0, dry_run=False, enforce_retention_duration=False, keep_versions=[0]
        )
    print(f"{len(gone)} files deleted; version 0 has {DeltaTable(table, version=0).count():,} rows")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--thumbnails", action="store_true")
    return parser.parse_args()


def _rows(count: int, *, seed: int, thumbnails: bool) -> pa.Table:
    """Rows as wide as those of an image."""
    rng = np.random.default_rng(seed)
    raw = rng.bytes(32 * count)
    keys = [raw[32 * n : 32 * n + 32].hex() for n in range(count)]
    columns = {
        "sha256": pa.array(keys),
        "source_path": pa.array([f"train/class/{key[:16]}.png" for key in keys]),
        "label": pa.array(rng.choice(["glioma", "meningioma", "pituitary", "notumor"], count)),
        "patient": pa.array([key[:16] for key in keys]),
        "cluster": pa.array([key[:16] for key in keys]),
        "split": pa.array(rng.choice(["train", "validation", "test"], count)),
        "bytes": pa.array(rng.integers(5_000, 50_000, count)),
        "pack": pa.array([f"packs/{n // 5000:08d}.parquet" for n in range(count)]),
        "row": pa.array(np.arange(count) % 5000),
        "fingerprint": pa.array(list(rng.normal(size=(count, 14)))),
        "signature": pa.array([raw[32 * n : 32 * n + 32] for n in range(count)], pa.binary()),
        "metadata": pa.array(['{"landed_sha256": "' + key + '"}' for key in keys]),
        "since": pa.array(np.ones(count, np.int32)),
        "until": pa.array([None] * count, pa.int32()),
    }
    if thumbnails:
        columns["thumbnail"] = pa.array([rng.bytes(1024) for _ in range(count)], pa.binary())
    return pa.table(columns)


@contextmanager
def _timed(what: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{what:58} {time.perf_counter() - start:8.2f} s   peak {peak:6.0f} MB", flush=True)


def _change(table: str, rows: pa.Table) -> None:
    first = rows.slice(0, DELIVERY)
    closed = first.select(["sha256"])
    with _timed(f"merge: close {DELIVERY:,} states"):
        merger = DeltaTable(table).merge(
            closed, "t.sha256 = s.sha256 AND t.until IS NULL", source_alias="s", target_alias="t"
        )
        merger.when_matched_update({"until": "2"}).execute()
    with _timed("delete one row"):
        DeltaTable(table).delete(f"sha256 = '{rows['sha256'][5].as_py()}'")
    with _timed("merge: close all states"):
        merger = DeltaTable(table).merge(
            rows.select(["sha256"]),
            "t.sha256 = s.sha256 AND t.until IS NULL",
            source_alias="s",
            target_alias="t",
        )
        merger.when_matched_update({"until": "3"}).execute()


def _read(table: str, rows: pa.Table) -> None:
    with _timed("open the newest version"):
        opened = DeltaTable(table)
    with _timed("open version 0"):
        DeltaTable(table, version=0)
    few = ["sha256", "label", "split", "cluster"]
    with _timed("read 4 columns as Arrow"):
        opened.to_pyarrow_table(columns=few)
    with _timed("read 4 columns of one state as pandas"):
        opened.to_pandas(columns=few, filters=[("until", "=", 3)])
    with _timed("read all columns as Arrow"):
        opened.to_pyarrow_table()
    buffer = io.BytesIO()
    with _timed("today: write index.parquet (rows of dictionaries)"):
        pq.write_table(
            pa.Table.from_pylist(rows.to_pylist(), schema=rows.schema), buffer, compression="zstd"
        )
    with _timed("today: read index.parquet (rows of dictionaries)"):
        records = pq.read_table(io.BytesIO(buffer.getvalue())).to_pylist()
    texts = [
        {k: v for k, v in row.items() if k not in ("signature", "thumbnail")} for row in records
    ]
    with _timed("a JSON manifest: write and read"):
        json.loads(json.dumps(texts))


def _compete(table: str, thumbnails: bool) -> None:
    """Two processes that commit to one table at once."""
    for kind in ("append", "merge"):
        context = multiprocessing.get_context("spawn")
        start = time.perf_counter()
        with context.Pool(WRITERS) as pool:
            work = [(table, kind, number, thumbnails) for number in range(WRITERS)]
            found = pool.starmap(_commits, work)
        print(
            f"{WRITERS} writers, {COMMITS_EACH} {kind}s each: {time.perf_counter() - start:.1f} s"
        )
        for errors in found:
            print("   ", errors or "every commit succeeded")


def _commits(table: str, kind: str, number: int, thumbnails: bool) -> dict[str, int]:
    """Messages of the errors that one writer got → how often."""
    errors: dict[str, int] = {}
    for commit in range(COMMITS_EACH):
        rows = _rows(10, seed=100 + 10 * number + commit, thumbnails=thumbnails)
        try:
            if kind == "append":
                write_deltalake(table, rows, mode="append")
            else:
                merger = DeltaTable(table).merge(
                    rows, "t.sha256 = s.sha256", source_alias="s", target_alias="t"
                )
                merger.when_matched_update({"until": "9"}).execute()
        except DeltaError as error:
            message = f"{type(error).__name__}: {str(error)[:160]}"
            errors[message] = errors.get(message, 0) + 1
    return errors


if __name__ == "__main__":
    main()
