"""How fast the service answers, beside the bare decode and forward pass in a loop.

    python -m benchmarks.service BUNDLE IMAGE [--rounds 300] [--threads N]

Starts the real service on a free port with the bundle, asks it one image at a time over one kept
connection, and prints the median and 95 % quantile of each route with its ratio to the bare loop.
Rounds of all rows take turns, so that a busy machine slows them alike.
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from rich.console import Console
from rich.progress import track
from rich.table import Table

from pipelines.settings import get_settings
from serving.predictor import Predictor, open_predictor

WARM_UP = 20
START_SECONDS = 60


def main() -> None:
    """Measure and print one table."""
    options = _options()
    image = options.image.read_bytes()
    predictor = open_predictor(
        options.bundle, "openvino", cache=get_settings().cache, threads=options.threads
    )
    with _service(options.bundle, options.threads) as http:
        rows = _rows(predictor, http, image)
        seconds = _measure(rows, options.rounds)
    Console().print(_table(seconds, f"{options.image.name}, {len(image) / 1024:.0f} KB"))


def _rows(
    predictor: Predictor, http: httpx.Client, image: bytes
) -> dict[str, Callable[[], object]]:
    raw = {"Content-Type": "image/*"}

    def post(path: str, **body: object) -> None:
        http.post(path, **body).raise_for_status()  # type: ignore[arg-type]

    def explain() -> None:
        reading = predictor.read(image)
        predictor.overlay(reading, reading.best, opacity=0.5)

    return {
        "bare decode + forward": lambda: predictor.read(image),
        "bare decode + forward + overlay": explain,
        "/livez": lambda: http.get("/livez").raise_for_status(),
        "/predict, raw body": lambda: post("/predict", content=image, headers=raw),
        "/predict, multipart": lambda: post("/predict", files={"image": image}),
        "/gradcam, multipart": lambda: post("/gradcam", files={"image": image}),
        "/explain, multipart": lambda: post("/explain", files={"image": image}),
    }


def _measure(rows: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in rows}
    for turn in track(range(WARM_UP + rounds), "Asking", transient=True):
        for name, ask in rows.items():
            began = time.perf_counter()
            ask()
            if turn >= WARM_UP:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def _table(seconds: dict[str, list[float]], title: str) -> Table:
    table = Table("", "p50 ms", "p95 ms", "x bare", title=title)
    bare = statistics.median(seconds["bare decode + forward"])
    for name, values in seconds.items():
        middle, high = statistics.median(values), statistics.quantiles(values, n=20)[-1]
        table.add_row(name, f"{middle * 1e3:.2f}", f"{high * 1e3:.2f}", f"{middle / bare:.2f}")
    return table


@contextmanager
def _service(bundle: Path, threads: int) -> Iterator[httpx.Client]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "serving", "--port", str(port), "--threads", str(threads)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*command, "--bundle", str(bundle)], stdout=log, stderr=subprocess.STDOUT
        )
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
                _wait(http)
                yield http
        finally:
            process.terminate()
            process.wait()


def _wait(http: httpx.Client) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            http.get("/readyz").raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("The service did not become ready.")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("image", type=Path)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
