"""What the data steps cost as a collection grows: seconds, memory and files in the store.

    python -m benchmarks.scale [--images 1000 10000] [--add 1000] [--side 160] [--hdfs] [--profile]

For each number of images: draws as many synthetic ones (no two alike; ``--side`` in pixels), and
takes them through landing, ingestion, split, preparation and the second delivery of ``--add``
further images, in a store of its own: a folder, or with ``--hdfs`` a real NameNode and DataNode.
CPU time and memory are of the driver (this process), Spark's JVM and all Python workers; memory is
the largest that was seen. The last column compares the CPU time of each step with that of the
smallest number of images.
"""

import argparse
import io
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table

NAME = "synthetic"
CLASSES = ("first", "second", "third")
COARSE = 12
"""Side of the random field that an image enlarges: no two are near duplicates."""
BLOCK = 500
SPEC = """\
name: synthetic
title: Random fields
synthetic: true
source: {{origin: Drawn by benchmarks.scale., licence: CC0-1.0, consent: Not needed.}}
landing: {{group_pattern: '^(?P<group>[0-9]+)_'}}
classes:
  - {{name: first, title: First}}
  - {{name: second, title: Second}}
  - {{name: third, title: Third}}
image: {{size: {side}}}
split: {{validation: 0.1, test: 0.1, seed: 17}}
candidates:
  - {{name: cnn, model: small_cnn, recipe: scratch, weights: null, epochs: 1}}
selection: {{metric: macro_f1}}
card: {{intended_use: A benchmark., users: Nobody., not_for: [Anything else.]}}
"""
SAMPLE_SECONDS = 0.1


@dataclass
class Peak:
    """The largest memory seen, in bytes."""

    driver: int = 0
    jvm: int = 0
    workers: int = 0


@dataclass
class Cost:
    """What a step took."""

    step: str
    images: int
    seconds: float
    cpu: float
    """Seconds."""
    peak: Peak = field(default_factory=Peak)


def main() -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--images", nargs="+", type=int, default=[1000])
    parser.add_argument("--add", type=int, default=1000)
    parser.add_argument("--side", type=int, default=160, help="of an image, in pixels")
    parser.add_argument("--hdfs", action="store_true")
    parser.add_argument("--profile", action="store_true", help="features and data profile, too")
    options = parser.parse_args()
    costs: list[Cost] = []
    console = Console(width=120, highlight=False)
    for images in sorted(options.images):
        # A process of its own: settings are read once, and memory never falls again.
        with tempfile.TemporaryDirectory(prefix="scale-") as name, ProcessPoolExecutor(1) as pool:
            some, stored = pool.submit(_measure, Path(name), images, options).result()
        costs += some
        console.print(f"{images:,} images: {stored}")
        console.print(_table(some, [cost for cost in costs if cost.images == costs[0].images]))


def _measure(folder: Path, images: int, options: argparse.Namespace) -> tuple[list[Cost], str]:
    """The costs of one collection, and what its store holds afterwards."""
    with _installation(folder, side=options.side, hdfs=options.hdfs):
        from pipelines import loop
        from pipelines.data.land.ledger import SETTLED_SECONDS
        from pipelines.loop.opening import opened
        from pipelines.profile import look

        costs: list[Cost] = []

        def step(name: str, done: Callable[[], Any]) -> Any:
            began, spent = time.perf_counter(), _cpu_seconds()
            with _watching() as peak:
                result = done()
            spent = _cpu_seconds() - spent
            costs.append(Cost(name, images, time.perf_counter() - began, spent, peak))
            print(costs[-1], file=sys.stderr, flush=True)  # a large collection takes hours
            return result

        def deliver(first: int, number: int, title: str) -> None:
            _draw_all(folder / "landing", first, number, side=options.side)
            time.sleep(SETTLED_SECONDS + 1)  # younger files are opened again by the next landing
            landed = step(f"{title}land", lambda: loop.land(NAME, str(folder / "landing")))
            snapshot = step(f"{title}ingest", lambda: loop.ingest(NAME, landed))
            split = step(f"{title}split", lambda: loop.split(NAME, snapshot))
            step(f"{title}check", lambda: loop.check_snapshot(NAME, snapshot, split))
            prepared = step(f"{title}prepare", lambda: loop.prepare(NAME, snapshot, split))
            if options.profile:
                step(f"{title}profile", lambda: look.run(*opened(NAME), prepared))

        deliver(0, images, "")
        if options.add:
            deliver(images, options.add, f"+{options.add:,}: ")
        store = opened(NAME)[1].store
        files = list(store.walk(NAME))
        stored = f"{len(files):,} files, {sum(map(store.size, files)) / 1e6:,.0f} MB in the store"
        return costs, stored


@contextmanager
def _installation(folder: Path, *, side: int, hdfs: bool) -> Iterator[None]:
    """Settings in the environment that name an installation in ``folder``."""
    (folder / "datasets").mkdir()
    (folder / "datasets" / f"{NAME}.yaml").write_text(SPEC.format(side=side), "utf-8")
    here = {
        "MEDLOOP_ENV_FILE": "none",
        "MEDLOOP_HOME": str(folder / "home"),
        "MEDLOOP_DATASETS": str(folder / "datasets"),
        "MEDLOOP_STORE": (folder / "store").as_uri(),
    }
    if not hdfs:
        os.environ.update(here)
        yield
        return
    from stack.testing import running_stack

    with running_stack(["hdfs"], home=folder / "hdfs") as settings:
        ports = {
            f"MEDLOOP_{port.upper()}": str(getattr(settings, port))
            for port in ("namenode_port", "namenode_rpc_port", "datanode_base_port")
        }
        os.environ.update(here | ports)
        del os.environ["MEDLOOP_STORE"]
        yield


@contextmanager
def _watching() -> Iterator[Peak]:
    """The largest memory of this process and its children meanwhile."""
    peak, over = Peak(), threading.Event()

    def watch() -> None:
        me = psutil.Process()
        while not over.wait(SAMPLE_SECONDS):
            children = [(child, _name(child)) for child in me.children(recursive=True)]
            peak.driver = max(peak.driver, me.memory_info().rss)
            peak.jvm = max(peak.jvm, sum(_rss(c) for c, name in children if name == "java"))
            peak.workers = max(
                peak.workers, sum(_rss(c) for c, name in children if "python" in name)
            )

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()


def _cpu_seconds() -> float:
    """CPU time of this process and all that it has started, those that have ended included."""
    me = psutil.Process()
    return sum(map(_seconds_of, [me, *me.children(recursive=True)]))


def _seconds_of(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.NoSuchProcess:
        return ""


def _rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _draw_all(folder: Path, first: int, number: int, *, side: int) -> None:
    """Draw images ``first`` to ``first + number``, BLOCK in a folder of a class."""
    for name in CLASSES:
        (folder / name).mkdir(parents=True, exist_ok=True)
    starts = range(first, first + number, BLOCK)
    with ProcessPoolExecutor() as pool:
        ends = (min(start + BLOCK, first + number) for start in starts)
        drawn = pool.map(partial(_draw, folder, side), starts, ends)
        for _ in track(drawn, total=len(starts), description="Drawing", transient=True):
            pass


def _draw(folder: Path, side: int, first: int, last: int) -> None:
    for number in range(first, last):
        rng = np.random.default_rng(number)
        field = cv2.resize(rng.normal(size=(COARSE, COARSE)), (side, side), cv2.INTER_CUBIC)
        grain = cv2.resize(rng.normal(size=(side // 2, side // 2)), (side, side))
        picture = np.clip(128 + 50 * field + 6 * grain, 0, 255).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=90)
        name = CLASSES[number % len(CLASSES)]
        (folder / name / f"{number:08d}_{number}.jpg").write_bytes(buffer.getvalue())


def _table(costs: list[Cost], smallest: list[Cost]) -> Table:
    names = ("step", "seconds", "CPU s", "CPU ms an image", "driver", "JVM", "workers", "growth")
    table = Table(*names)
    of = {cost.step: cost for cost in smallest}
    for cost in costs:
        number = int(cost.step[1:].partition(":")[0].replace(",", "")) if "+" in cost.step else None
        memory = (f"{bytes / 1e9:.2f} GB" for bytes in vars(cost.peak).values())
        ratio = f"{cost.cpu / of[cost.step].cpu:.1f}" if cost.step in of else ""
        each = 1000 * cost.cpu / (number or cost.images)
        spent = (f"{cost.seconds:.1f}", f"{cost.cpu:.1f}", f"{each:.1f}")
        table.add_row(cost.step, *spent, *memory, ratio)
    return table


if __name__ == "__main__":
    main()
