"""How fast Spark prepares a collection, beside bare processes that do the same work.

    python -m benchmarks.prepare DATASET FOLDER [--cores 2]

Lands, packs and splits FOLDER as DATASET into a store in a temporary folder (not timed), then
prepares its images: by the stage, and by as many processes that read the originals of their
part from the packs and call the same writer. Both write the same files, which is checked.
"""

import argparse
import io
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from pipelines.data.land import ingest, landing
from pipelines.data.prepare import prepare
from pipelines.data.prepare.executor import ORIGINAL, PrepareJob, write_parts
from pipelines.data.prepare.keys import listed_images
from pipelines.data.split import split
from pipelines.isolation import IsolatedSettings
from pipelines.outputs import Snapshot, Split
from pipelines.spark.session import spark_session
from pipelines.spec import DatasetSpec, load_spec
from pipelines.stage import Context
from pipelines.storage import Store, open_store

BATCH_ROWS = 64


def main() -> None:
    """Measure and print one table."""
    options = _options()
    spec = load_spec(options.dataset)
    with tempfile.TemporaryDirectory(prefix="medloop-benchmark-") as folder:
        context = _context(Path(folder), options.cores)
        snapshot = ingest.run(spec, context, landing.run(spec, context, str(options.folder)))
        division = split.run(spec, context, snapshot)
        bare = _bare(spec, context, snapshot, division, cores=options.cores)
        start, first, second = _spark(spec, context, snapshot, division)
        _require_same(context.store, spec)
        images = sum(sum(of_class.values()) for of_class in division.counts.values())
    Console().print(_table(images, options.cores, [bare, start + first, first, second]))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cores", type=int, default=2)
    return parser.parse_args()


def _context(folder: Path, cores: int) -> Context:
    settings = IsolatedSettings(
        home=folder / "home", store=(folder / "store").as_uri(), spark=f"local[{cores}]"
    )
    return Context(settings=settings, store=open_store(settings))


def _spark(
    spec: DatasetSpec, context: Context, snapshot: Snapshot, division: Split
) -> tuple[float, float, float]:
    """Seconds that Spark takes to start, for its first job, and for the same job once warm."""
    began = time.perf_counter()
    with spark_session(context.settings, name="benchmark"):
        started = time.perf_counter()
        prepared = prepare.run(spec, context, snapshot, division)
        warm = time.perf_counter()
        context.store.delete(prepared.path)
        context.store.delete(prepared.images)
        prepare.run(spec, context, snapshot, division)
        return started - began, warm - started, time.perf_counter() - warm


def _bare(
    spec: DatasetSpec, context: Context, snapshot: Snapshot, division: Split, *, cores: int
) -> float:
    """Seconds for as many processes that each write whole parts."""
    images = listed_images(context, snapshot, division).drop_duplicates("sha256")
    images = images.fillna({"mask": "", "mask_pack": ""}).sort_values("sha256", ignore_index=True)
    parts = prepare.part_count(len(images), spec.image.size, cores=cores)
    images["number"] = images.index * parts // len(images)
    job = PrepareJob(context.settings, f"{spec.name}/bare", spec.image)
    parted = [rows.to_dict("records") for _, rows in images.groupby("number")]
    # Spawned before the clock starts, and warmed by a call each
    with ProcessPoolExecutor(cores, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(abs, range(cores)))
        began = time.perf_counter()
        list(pool.map(_write, parted, [job] * len(parted)))
        return time.perf_counter() - began


def _write(rows: list[dict[str, object]], job: PrepareJob) -> None:
    store = open_store(job.settings)
    contents: dict[str, bytes] = {}
    wanted = {str(row[name]) for row in rows for name in ("sha256", "mask")}
    for file in sorted({str(row[name]) for row in rows for name in ("pack", "mask_pack")} - {""}):
        for batch in pq.ParquetFile(io.BytesIO(store.read(file))).iter_batches(BATCH_ROWS):
            columns = batch.column("sha256").to_pylist(), batch.column("content").to_pylist()
            contents |= {k: v for k, v in zip(*columns, strict=True) if k in wanted}
    full = [
        row
        | {"content": contents[str(row["sha256"])], "mask_content": contents.get(str(row["mask"]))}
        | {"finder": 0}
        for row in rows
    ]
    for _ in write_parts(_batches(full), job=job):
        pass


def _batches(rows: list[dict[str, object]]) -> Iterator[pa.RecordBatch]:
    table = pa.Table.from_pylist(rows).select(list(ORIGINAL))
    return iter(table.to_batches(BATCH_ROWS))


def _require_same(store: Store, spec: DatasetSpec) -> None:
    [identity] = store.names(f"{spec.name}/prepared")
    folders = [f"{spec.name}/{name}/parts" for name in ("bare", f"prepared/{identity}")]
    bare, stage = map(store.names, folders)
    assert bare == stage, "parts differ between the two"  # their names are their hashes


def _table(images: int, cores: int, seconds: list[float]) -> Table:
    ways = (
        f"{cores} bare processes",
        f"Spark local[{cores}], its start included",
        f"Spark local[{cores}], first job",
        f"Spark local[{cores}], warm",
    )
    table = Table("way", "seconds", "images/s", title=f"Preparing {images:,} images, {cores} cores")
    for way, spent in zip(ways, seconds, strict=True):
        table.add_row(way, f"{spent:.1f}", f"{images / spent:,.0f}")
    return table


if __name__ == "__main__":
    main()
