"""What a second replica behind nginx brings: images a second with one, with two, and without nginx.

    python -m benchmarks.replicas [--bundle B] [--seconds 10]

Each replica has its own process and all processors; on a machine whose processors one replica
keeps busy, a second brings safety, not speed. nginx is the one of ``examples/nginx``.
"""

import argparse
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.load import Load, saturate
from benchmarks.processes import serving
from benchmarks.subject import make_subject
from benchmarks.wire import request
from tests.serving.balancing import balanced

CLIENTS = 8


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--bundle", type=Path, help="default: EfficientNet-Lite0, made here")
    parser.add_argument("--seconds", type=float, default=10, help="of full load, each")
    options = parser.parse_args()
    subject = make_subject(options.bundle, None)
    message = request("/predict", subject.image, "image/jpeg")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="medloop-")))
        one, two = (stack.enter_context(serving(subject.bundle)).port for _ in range(2))
        ports = {"no nginx": one}
        for name, replicas in {"one behind nginx": [one, one], "two": [one, two]}.items():
            http = stack.enter_context(balanced(folder / name, replicas))
            ports[name] = http.base_url.port or 0
        loads = {
            name: saturate(port, message, clients=CLIENTS, seconds=options.seconds)
            for name, port in ports.items()
        }
    Console().print(_table(loads))


def _table(loads: dict[str, Load]) -> Table:
    title = f"{CLIENTS} clients, {len(os.sched_getaffinity(0))} processors"
    table = Table("replicas", "images/s", "beside one alone", title=title)
    alone = loads["no nginx"].rate
    for name, load in loads.items():
        table.add_row(name, f"{load.rate:.0f}", f"{load.rate / alone:.2f}")
    return table


if __name__ == "__main__":
    main()
