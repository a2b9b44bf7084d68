"""The service under steady load for long: does it stay as quick, and as small, as it was?

    python -m benchmarks.soak [--minutes 30] [--share 0.8] [--workers 1] [--plot FILE]

Finds the capacity first (as many answers a second as many clients get that ask without a pause),
then asks at a share of it, at a constant rate. Prints a table by windows of time and writes a
plot; exits 1 if the 99 % quantile exceeds five times the median, memory grows, or a request
fails.
"""

import argparse
import asyncio
import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import psutil
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.arrivals import Answer, Arrivals, every
from benchmarks.claims import Claim, show
from benchmarks.load import saturate
from benchmarks.processes import MEGABYTE, Server, serving
from benchmarks.soak_plot import draw
from benchmarks.subject import make_subject
from benchmarks.wire import request
from pipelines.settings import get_settings

CAPACITY_SECONDS = 8.0
CAPACITY_CLIENTS = 16
WINDOWS = 60
MOST_TAIL = 5.0
"""Times the median that the 99 % quantile may be."""
MOST_GROWTH = 0.03
"""Share of its memory by which a worker may grow over the last two thirds."""


@dataclass(frozen=True)
class Weight:
    """What all workers take at one time."""

    at: float
    """Seconds since the first request."""
    pss: float
    """Proportional set size in MB: shared pages count by their share."""
    rss: float
    files: int
    threads: int


@dataclass(frozen=True)
class Window:
    """The answers of one stretch of time."""

    at: float
    answers: int
    p50: float
    """Milliseconds."""
    p99: float


@dataclass(frozen=True)
class Soak:
    """What was measured."""

    rate: float
    capacity: float
    answers: list[Answer]
    weights: list[Weight]

    @property
    def windows(self) -> list[Window]:
        """Up to sixty stretches of at least five seconds."""
        end = max(answer.due for answer in self.answers)
        length = max(end / WINDOWS, 5.0)
        groups: dict[int, list[float]] = {}
        for answer in self.answers:
            groups.setdefault(int(answer.due / length), []).append(answer.latency * 1e3)
        return [
            Window(number * length, len(group), *map(float, np.quantile(group, [0.5, 0.99])))
            for number, group in sorted(groups.items())
        ]


def main() -> None:
    """Soak, print, draw; exit 1 if a claim fails."""
    options = _options()
    subject = make_subject(options.bundle, options.image)
    message = request("/predict", subject.image, "image/jpeg")
    arguments = ("--workers", str(options.workers))
    with serving(subject.bundle, *arguments) as server:
        seconds = min(CAPACITY_SECONDS, 60 * options.minutes)
        load = saturate(server.port, message, clients=CAPACITY_CLIENTS, seconds=seconds)
        rate = options.share * load.rate
        print(f"{subject.name}: capacity {load.rate:.0f}/s; asking {rate:.0f}/s")
        seconds = options.minutes * 60
        answers, weights = asyncio.run(_soak(server, message, rate=rate, seconds=seconds))
    soak = Soak(rate, load.rate, answers, weights)
    Console().print(_table(soak))
    options.plot.parent.mkdir(parents=True, exist_ok=True)
    draw(soak, options.plot)
    print(f"Plot: {options.plot}")
    title = f"{options.minutes:g} min at {options.share:.0%} of {load.rate:.0f}/s"
    sys.exit(show(claims(soak), title=title))


def claims(soak: Soak) -> list[Claim]:
    """What is claimed of a soak."""
    failed = sum(answer.status != 200 for answer in soak.answers)
    p50, p99 = np.quantile([answer.latency * 1e3 for answer in soak.answers], [0.5, 0.99])
    growth = _growth([weight.at for weight in soak.weights], [w.pss for w in soak.weights])
    third = len(soak.weights) // 3
    later = soak.weights[third:]
    files = _gained([weight.files for weight in later], third)
    threads = _gained([weight.threads for weight in later], third)
    refused = Counter(answer.status for answer in soak.answers if answer.status != 200)
    return [
        Claim(
            "requests that failed",
            "0",
            f"{failed} of {len(soak.answers):,} {dict(refused) or ''}",
            failed == 0,
        ),
        Claim(
            "p99 of all answers",
            f"at most {MOST_TAIL:g} x p50",
            f"{p99:.1f} ms, {p99 / p50:.1f} x {p50:.1f} ms",
            bool(p99 <= MOST_TAIL * p50),
        ),
        Claim(
            "memory's trend over the last two thirds",
            f"at most {MOST_GROWTH:+.0%}",
            f"{growth:+.1%} of {statistics.median(w.pss for w in later):.0f} MB",
            growth <= MOST_GROWTH,
        ),
        Claim("open files gained in the last third", "at most 5", str(files), files <= 5),
        Claim("threads gained in the last third", "at most 2", str(threads), threads <= 2),
    ]


def _gained(counts: Sequence[int], length: int) -> int:
    """By how much the least of the last ones exceeds the least of those before."""
    return min(counts[-length:]) - min(counts[:-length])


def _growth(times: Sequence[float], sizes: Sequence[float]) -> float:
    """By how much a straight line through the last two thirds rises, as a share of its begin."""
    late, size = (np.array(values[len(values) // 3 :]) for values in (times, sizes))
    slope, start = np.polyfit(late - late[0], size, 1)
    return float(slope * (late[-1] - late[0]) / start)


async def _soak(
    server: Server, message: bytes, *, rate: float, seconds: float
) -> tuple[list[Answer], list[Weight]]:
    arrivals = Arrivals(server.port, message, rate)
    weights: list[Weight] = []
    workers = _workers(server.port)
    between = max(seconds / 200, 1.0)
    with Progress(transient=True) as progress:
        bar = progress.add_task("Soaking", total=seconds)

        def note() -> None:
            at = len(weights) * between
            weights.append(_weigh(workers, at))
            progress.update(bar, completed=at)

        noting = every(between, note)
        await arrivals.run(seconds)
        noting.cancel()
    return arrivals.answers, weights


def _workers(port: int) -> list[psutil.Process]:
    report = httpx.get(f"http://127.0.0.1:{port}/model", trust_env=False).json()
    return [psutil.Process(worker["pid"]) for worker in report["workers"]]


def _weigh(workers: Sequence[psutil.Process], at: float) -> Weight:
    memory = [worker.memory_full_info() for worker in workers]
    return Weight(
        at,
        pss=sum(m.pss for m in memory) / MEGABYTE,
        rss=sum(m.rss for m in memory) / MEGABYTE,
        files=sum(worker.num_fds() for worker in workers),
        threads=sum(worker.num_threads() for worker in workers),
    )


def _table(soak: Soak) -> Table:
    table = Table("from min", "answers", "p50 ms", "p99 ms", "PSS MB", "files", "threads")
    windows = soak.windows
    for window in windows[:: max(1, len(windows) // 15)]:
        weight = min(soak.weights, key=lambda w: abs(w.at - window.at))
        table.add_row(
            f"{window.at / 60:.1f}",
            f"{window.answers:,}",
            f"{window.p50:.1f}",
            f"{window.p99:.1f}",
            f"{weight.pss:.0f}",
            str(weight.files),
            str(weight.threads),
        )
    return table


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--share", type=float, default=0.8, help="of the capacity (%(default)s)")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--image", type=Path)
    parser.add_argument("--plot", type=Path, default=get_settings().home / "soak.png")
    return parser.parse_args()


if __name__ == "__main__":
    main()
