"""How fast the service is, beside the bare work in a loop and beside what else one could run.

    python -m benchmarks.service [--bundle B] [--image I] [--rounds 200] [--seconds 10]

One client over one kept connection; then as many as keep it busy. Everything runs on this machine
and in turns. Ends with what Medloop promises of it, and exit status 1 where that does not hold.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import rivals
from benchmarks.claims import Claim, show
from benchmarks.load import Load, saturate
from benchmarks.processes import Server, running, serving
from benchmarks.rounds import Row, take_turns
from benchmarks.subject import Subject, make_subject
from benchmarks.wire import Connection, form, request
from pipelines.evaluation.gradcam_autodiff import class_activation_by_gradients
from pipelines.imaging import decode, fit
from pipelines.release.predictor import Predictor, open_predictor
from pipelines.release.runtime import Goal
from pipelines.settings import get_settings

BATCH = 32
CLIENTS = 8
BARE = "bare: decode, forward"
FORWARD = "bare: forward"
HEAT = "bare: forward, Grad-CAM"
TAPE = "bare: Grad-CAM by GradientTape"
RAW = "/predict, raw body"
FORM = "/predict, multipart"
EXPLAIN = "/explain, multipart"
MLFLOW = "mlflow models serve, JSON"
PREDICT = "FastAPI, model.predict"
GRAPH = "FastAPI, TensorFlow graph"


Asked = tuple[int, bytes]
"""A port and the request that is sent to it."""


@dataclass(frozen=True)
class Rate:
    """Images a second, in the service and in a loop without it."""

    service: Load
    loop: float
    processor_ms: float
    """Of the service, an answer."""


def main() -> None:
    """Measure, print, judge."""
    options = _options()
    subject = make_subject(options.bundle, options.image)
    console = Console()
    console.print(f"{subject.bundle}, asked about {subject.name}; {options.threads} threads")
    with serving(subject.bundle, "--threads", str(options.threads)) as server:
        predictor = _predictor(subject, "latency", options.threads)
        rows = _latencies(predictor, subject, server, options)
        console.print(_table(rows))
        starts, memory, private = server.ready_seconds, server.memory(), server.private_memory()
    rates = {goal: _rate(subject, goal, options) for goal in ("latency", "throughput")}
    for goal, rate in rates.items():
        console.print(_told(goal, rate))
    weighed = ", ".join(f"{megabytes:.0f} MB" for megabytes in memory.values())
    console.print(f"Proportional set size after this, supervisor first: {weighed}")
    claims = _claims(rows, rates, starts)
    claims.append(Claim("a worker's own memory", "<= 170 MB", f"{private:.0f} MB", private <= 170))
    sys.exit(show(claims, title="What is promised"))


def _latencies(
    predictor: Predictor, subject: Subject, server: Server, options: argparse.Namespace
) -> dict[str, Row]:
    with ExitStack() as stack:
        asked = _asked(server.port, subject.image)
        if options.rivals == "all":
            asked |= stack.enter_context(_rivals(predictor, subject))
        rows = _bare(predictor, subject.image)
        for name, (port, message) in asked.items():  # once all are up: an idle connection is cut
            connection = stack.enter_context(Connection(port))
            rows[name] = partial(connection.ask, message)
        return take_turns(rows, options.rounds)


def _bare(predictor: Predictor, image: bytes) -> dict[str, Callable[[], object]]:
    manifest = predictor.bundle.manifest
    pixels = fit(decode(image), manifest.image).astype(np.float32)
    batch = pixels[None]
    seen = predictor.read(image)
    model = predictor._keras_model

    def forward() -> object:
        return predictor.runtime.run(batch)

    def heat() -> object:
        predictor.runtime.run(batch)
        return predictor.activation(seen, seen.best)

    def work() -> object:
        return predictor.runtime.run(fit(decode(image), manifest.image)[None].astype(np.float32))

    return {
        FORWARD: forward,
        HEAT: heat,
        TAPE: lambda: class_activation_by_gradients(model, pixels, seen.best),
        BARE: work,
    }


def _asked(port: int, image: bytes) -> dict[str, Asked]:
    return {
        "/livez": (port, request("/livez")),
        RAW: (port, request("/predict", image, "image/jpeg")),
        FORM: (port, form("/predict", image)),
        "/gradcam, multipart": (port, form("/gradcam", image)),
        EXPLAIN: (port, form("/explain", image)),
    }


@contextmanager
def _rivals(predictor: Predictor, subject: Subject) -> Iterator[dict[str, Asked]]:
    bundle = predictor.bundle
    upload = form("/predict", subject.image)
    with tempfile.TemporaryDirectory(prefix="medloop-") as folder, ExitStack() as stack:
        saved = Path(folder) / "mlflow"
        rivals.save_for_mlflow(bundle.keras, saved)
        pixels = fit(decode(subject.image), bundle.manifest.image)
        json = request("/invocations", rivals.mlflow_body(pixels), "application/json")
        own = [sys.executable, "-m", "benchmarks.rivals"]
        started = {
            MLFLOW: (rivals.mlflow_command(saved), "/ping", json),
            PREDICT: ([*own, "predict", str(bundle.keras)], "/docs", upload),
            GRAPH: ([*own, "graph", str(bundle.keras)], "/docs", upload),
        }
        asked = {}
        for name, (command, ready, message) in started.items():
            server = stack.enter_context(running(command, ready, TF_CPP_MIN_LOG_LEVEL="3"))
            asked[name] = (server.port, message)
        yield asked


def _rate(subject: Subject, goal: Goal, options: argparse.Namespace) -> Rate:
    """Saturate the service, and run the loop just before and just after on the same processors."""
    predictor = _predictor(subject, goal, options.threads)
    threads = ("--threads", str(options.threads))
    with serving(subject.bundle, *threads, service_tuning=goal) as server:
        before = _loop(predictor, subject.image, options.seconds / 2)
        worked = server.processor_seconds()
        message = request("/predict", subject.image, "image/jpeg")
        load = saturate(server.port, message, clients=CLIENTS, seconds=options.seconds)
        worked = server.processor_seconds() - worked
        after = _loop(predictor, subject.image, options.seconds / 2)
    return Rate(load, (before + after) / 2, worked / load.seconds / load.rate * 1e3)


def _loop(predictor: Predictor, image: bytes, seconds: float) -> float:
    """Images a second: decode, forward in batches, nothing else."""
    spec, done, began = predictor.bundle.manifest.image, 0, time.perf_counter()
    while (took := time.perf_counter() - began) < seconds or not done:
        batch = np.stack([fit(decode(image), spec) for _ in range(BATCH)]).astype(np.float32)
        predictor.runtime.run(batch)
        done += BATCH
    return done / took


def _predictor(subject: Subject, goal: Goal, threads: int) -> Predictor:
    cache = get_settings().cache
    return open_predictor(subject.bundle, "openvino", cache=cache, threads=threads, goal=goal)


def _table(rows: dict[str, Row]) -> Table:
    table = Table("one client", "p50 ms", "p95 ms", "x bare")
    for name, row in rows.items():
        ratio = row.median / rows[BARE].median
        table.add_row(name, f"{row.median * 1e3:.2f}", f"{row.high * 1e3:.2f}", f"{ratio:.2f}")
    return table


def _told(goal: str, rate: Rate) -> str:
    load = rate.service
    return (
        f"Tuned for {goal}, {CLIENTS} clients: {load.rate:.0f} images/s, the loop in batches of "
        f"{BATCH} {rate.loop:.0f}; {rate.processor_ms:.1f} ms of processor time an answer; the "
        f"clients themselves took {load.client_share:.0%} of a processor"
    )


def _claims(rows: dict[str, Row], rates: dict[str, Rate], starts: float) -> list[Claim]:
    p50 = {name: row.median for name, row in rows.items()}
    claims = [
        _at_most("/predict, multipart, beside bare", p50[FORM] / p50[BARE], 1.45),
        _at_most("/predict, raw body, beside bare", p50[RAW] / p50[BARE], 1.4),
        _at_most("/explain beside bare", p50[EXPLAIN] / p50[BARE], 2.2),
        _at_most("Grad-CAM with its forward pass beside that alone", p50[HEAT] / p50[FORWARD], 1.1),
        _at_least("closed-form Grad-CAM faster than GradientTape", p50[TAPE] / p50[HEAT], 3),
        _at_least("saturated, of the batched loop", _saturated(rates), 0.85),
        Claim("cold start until ready", "<= 3.5 s", f"{starts:.1f} s", starts <= 3.5),
    ]
    if MLFLOW in p50:
        claims += [
            _at_least("faster than mlflow models serve", p50[MLFLOW] / p50[FORM], 8),
            _at_least("faster than FastAPI, model.predict", p50[PREDICT] / p50[FORM], 1),
            _at_least("faster than FastAPI, TensorFlow graph", p50[GRAPH] / p50[FORM], 1),
        ]
    return claims


def _saturated(rates: dict[str, Rate]) -> float:
    """The service at its fastest beside the loop at its fastest: tuned for throughput, a single
    loop has one stream, which leaves processors idle."""
    loop = max(rate.loop for rate in rates.values())
    return max(rate.service.rate for rate in rates.values()) / loop


def _at_most(what: str, ratio: float, limit: float) -> Claim:
    return Claim(what, f"<= {limit:g} x", f"{ratio:.2f} x", ratio <= limit)


def _at_least(what: str, ratio: float, limit: float) -> Claim:
    return Claim(what, f">= {limit:g} x", f"{ratio:.2f} x", ratio >= limit)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--bundle", type=Path, help="default: an EfficientNet-Lite0 at 160 pixels, made here")
    add("--image", type=Path, help="default: a phantom, drawn here")
    add("--rounds", type=int, default=200, help="turns of each row (%(default)s)")
    add("--seconds", type=float, default=10, help="of full load (%(default)s)")
    add("--threads", type=int, default=len(os.sched_getaffinity(0)), help="(%(default)s)")
    add("--rivals", choices=("all", "none"), default="all", help="what to compare it with")
    return parser.parse_args()


if __name__ == "__main__":
    main()
