"""How fast Spark scores a collection, beside bare processes that only decode, fit and infer.

    python -m benchmarks.score DATASET FOLDER BUNDLE [--cores 2] [--rounds 3] [--most 6000]

The bare processes share the files of FOLDER out among themselves and give the model 8 pictures at
a time, as scoring does; what they find is thrown away. Spark scores the folder itself, and a
snapshot of it (packed beforehand, not timed), and writes its answers. The ways take turns, so
that a busy machine slows them alike. Besides seconds, the table tells the processor time of all
processes of a way together, which others on the machine disturb less.
"""

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from pipelines.data.land import ingest, landing
from pipelines.data.parquet_files import read_rows
from pipelines.imaging import decode, fit
from pipelines.isolation import IsolatedSettings
from pipelines.release.predictor import Predictor, open_predictor
from pipelines.scoring import score, subjects
from pipelines.scoring.answers import IMAGES_AT_ONCE
from pipelines.scoring.subjects import Subject
from pipelines.spark.session import spark_session
from pipelines.spec import DatasetSpec, load_spec
from pipelines.stage import Context
from pipelines.storage import open_store

_predictor: Predictor | None = None
"""Of a bare process."""


@dataclass(frozen=True)
class Spent:
    """What one round of one way has taken."""

    seconds: float
    processor: float
    """Seconds of all cores together."""


def main() -> None:
    """Measure and print one table."""
    options = _options()
    spec = load_spec(options.dataset)
    with tempfile.TemporaryDirectory(prefix="medloop-benchmark-") as folder:
        context = _context(Path(folder), options.cores)
        files = _pick(spec, context, options.folder, Path(folder) / "picked", options.most)
        snapshot = ingest.run(spec, context, landing.run(spec, context, str(files)))
        ways: dict[str, Subject] = {
            "Spark, a folder": subjects.of_folder(spec, context, str(files)),
            "Spark, a snapshot": subjects.of_snapshot(context, snapshot),
        }
        rows = _measure(spec, context, options, files=files, ways=ways)
        images = snapshot.images
    Console().print(_table(images, options.cores, rows))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("folder", type=Path)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--most", type=int, default=6000, help="images, at most")
    return parser.parse_args()


def _context(folder: Path, cores: int) -> Context:
    settings = IsolatedSettings(
        home=folder / "home", store=(folder / "store").as_uri(), spark=f"local[{cores},4]"
    )
    return Context(settings=settings, store=open_store(settings))


def _pick(spec: DatasetSpec, context: Context, source: Path, target: Path, most: int) -> Path:
    """A folder of links to the images that a snapshot keeps, each picture once."""
    listed = landing.run(spec, context, str(source))
    kept = _accepted(context, listed.path)
    for path in kept[:most]:
        link = target / path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(source.absolute() / path)
    return target


def _accepted(context: Context, path: str) -> list[str]:
    rows = read_rows(context.store, f"{path}/files.parquet")
    once = {row["sha256"]: row["source_path"] for row in rows if row["reason"] is None}
    return sorted(once.values())


def _measure(
    spec: DatasetSpec,
    context: Context,
    options: argparse.Namespace,
    *,
    files: Path,
    ways: dict[str, Subject],
) -> dict[str, list[Spent]]:
    rows: dict[str, list[Spent]] = {"bare processes": [], "Spark's start": [], "its first job": []}
    with _bare_processes(options.bundle, options.cores, context.settings.cache) as bare:
        with _spent(rows["Spark's start"]):
            session = spark_session(context.settings, name="benchmark")
            session.__enter__()
        with _spent(rows["its first job"]):
            _score(spec, context, options.bundle, next(iter(ways.values())))
        for _ in range(options.rounds):
            with _spent(rows["bare processes"]):
                bare(files)
            for way, subject in ways.items():
                with _spent(rows.setdefault(way, [])):
                    _score(spec, context, options.bundle, subject)
        session.__exit__(None, None, None)
    return rows


def _score(spec: DatasetSpec, context: Context, bundle: Path, subject: Subject) -> None:
    scores = score.run(spec, context, bundle, subject=subject)
    assert not scores.unreadable, scores
    context.store.delete(scores.path)


@contextmanager
def _spent(rounds: list[Spent]) -> Iterator[None]:
    before, began = _processor_seconds(), time.perf_counter()
    yield
    seconds, after = time.perf_counter() - began, _processor_seconds()
    # an idle worker that Spark ended meanwhile has done nothing here
    processor = sum(spent - before.get(pid, 0) for pid, spent in after.items())
    rounds.append(Spent(seconds, processor))


def _processor_seconds() -> dict[int, float]:
    """Of this process and each below it, by their numbers."""
    found: dict[int, float] = {}
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            found[process.pid] = times.user + times.system
    return found


@contextmanager
def _bare_processes(bundle: Path, cores: int, cache: Path) -> Iterator[Callable[[Path], None]]:
    """As many processes as cores, with the bundle open before any clock starts."""
    with ProcessPoolExecutor(
        cores,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_open,
        initargs=(bundle, cache),
    ) as pool:
        list(pool.map(time.sleep, [1.0] * cores))

        def run(folder: Path) -> None:
            files = sorted(path for path in folder.rglob("*") if path.is_file())
            shares = [files[core::cores] for core in range(cores)]
            assert sum(pool.map(_infer, shares)) == len(files)

        yield run


def _open(bundle: Path, cache: Path) -> None:
    global _predictor
    _predictor = open_predictor(bundle, "openvino", cache=cache, threads=1)


def _infer(files: list[Path]) -> int:
    assert _predictor is not None
    done = 0
    for first in range(0, len(files), IMAGES_AT_ONCE):
        contents = [file.read_bytes() for file in files[first : first + IMAGES_AT_ONCE]]
        fitted = [fit(decode(data), _predictor.bundle.manifest.image) for data in contents]
        done += len(_predictor.runtime.run(np.stack(fitted).astype(np.float32))["logits"])
    return done


def _table(images: int, cores: int, rows: dict[str, list[Spent]]) -> Table:
    bare = rows["bare processes"]
    columns = ("way", "seconds", "images/s", "of bare", "processor s", "of bare")
    table = Table(*columns, title=f"Scoring {images:,} images, {cores} cores")
    for way, rounds in rows.items():
        seconds = statistics.median(spent.seconds for spent in rounds)
        processor = statistics.median(spent.processor for spent in rounds)
        whole = way != "Spark's start"
        table.add_row(
            way,
            f"{seconds:.1f}",
            f"{images / seconds:,.0f}" if whole else "",
            f"{statistics.median(s.seconds for s in bare) / seconds:.2f}" if whole else "",
            f"{processor:.1f}",
            f"{statistics.median(s.processor for s in bare) / processor:.2f}" if whole else "",
        )
    return table


if __name__ == "__main__":
    main()
