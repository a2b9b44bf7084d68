"""Does it pay to gather images into one batch for the model?

    python -m benchmarks.batching [--bundle B] [--rounds 30]

Processor time and elapsed time of an image's forward pass by the size of its batch, with all
processors on one batch (``latency``), and the service in both tunings, image by image and with
BentoML's adaptive batching, in turns.
"""

import argparse
import os
import statistics
import time
from contextlib import ExitStack
from itertools import product
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.load import saturate
from benchmarks.processes import Server, serving
from benchmarks.subject import Subject, make_subject
from benchmarks.wire import request
from pipelines.imaging import decode, fit
from pipelines.release.bundle import load_bundle
from pipelines.release.runtime import Tuning, open_runtime

SIZES = (1, 2, 4, 8, 16, 32)
IMAGES = 32
"""Asked in each turn, in batches of each size."""
CROWDS = (1, 8, 16, 32)
"""Clients at once, of the service."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--bundle", type=Path, help="default: EfficientNet-Lite0, made here")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=8, help="of load, each time")
    options = parser.parse_args()
    subject = make_subject(options.bundle, None)
    console = Console()
    console.print(_table(_by_size(subject, options.rounds)))
    console.print(_of_services(subject, options.seconds))


def _by_size(subject: Subject, rounds: int) -> dict[int, tuple[float, float]]:
    """Batch size → (processor ms, elapsed ms) of an image, the medians of all rounds."""
    bundle = load_bundle(subject.bundle)
    runtime = open_runtime(bundle, "openvino", Tuning())
    image = fit(decode(subject.image), bundle.manifest.image).astype(np.float32)
    batches = {size: np.repeat(image[None], size, axis=0) for size in SIZES}
    taken: dict[int, list[tuple[float, float]]] = {size: [] for size in SIZES}
    for turn in track(range(1 + rounds), "Asking", transient=True):
        for size, batch in batches.items():
            worked, began = time.process_time(), time.perf_counter()
            for _ in range(IMAGES // size):
                runtime.run(batch)
            if turn:
                elapsed = (time.perf_counter() - began) / IMAGES
                taken[size].append(((time.process_time() - worked) / IMAGES, elapsed))
    return {
        size: (
            statistics.median(t[0] for t in each) * 1e3,
            statistics.median(t[1] for t in each) * 1e3,
        )
        for size, each in taken.items()
    }


def _of_services(subject: Subject, seconds: float) -> Table:
    """The service in each tuning, one image at a time and with adaptive batching, in turns.

    All may let requests wait for half a minute, so that none is refused.
    """
    raw = request("/predict", subject.image, "image/jpeg")
    load_before = os.getloadavg()[0]
    table = Table(
        "clients",
        "tuning",
        "batching",
        "answers/s",
        "p50 ms",
        "p95 ms",
        "processor ms an answer",
        title=f"Load of the machine before: {load_before:.1f}",
    )
    with ExitStack() as stack:
        servers = {}
        for tuning, batching in product(("latency", "throughput"), ("off", "adaptive")):
            settings = {"service_tuning": tuning, "service_batching": batching}
            started = serving(subject.bundle, service_wait_seconds=30, **settings)
            servers[tuning, batching] = stack.enter_context(started)
        for clients in CROWDS:
            for row, server in servers.items():
                table.add_row(str(clients), *row, *_under(server, raw, clients, seconds))
    return table


def _under(server: Server, message: bytes, clients: int, seconds: float) -> list[str]:
    """What came of it: answers a second, p50, p95 and processor time of an answer in ms."""
    saturate(server.port, message, clients=clients, seconds=seconds / 4)  # its batcher learns
    worked, began = server.processor_seconds(), time.perf_counter()
    load = saturate(server.port, message, clients=clients, seconds=seconds)
    share = (server.processor_seconds() - worked) / (time.perf_counter() - began)
    high = statistics.quantiles(load.latencies, n=20)[-1]
    figures = (statistics.median(load.latencies), high, share / load.rate)
    return [f"{load.rate:.0f}", *(f"{figure * 1e3:.1f}" for figure in figures)]


def _table(rows: dict[int, tuple[float, float]]) -> Table:
    table = Table("batch", "processor ms an image", "elapsed ms an image", "x one by one")
    for size, (worked, elapsed) in rows.items():
        ratio = elapsed / rows[1][1]
        table.add_row(str(size), f"{worked:.2f}", f"{elapsed:.2f}", f"{ratio:.2f}")
    return table


if __name__ == "__main__":
    main()
