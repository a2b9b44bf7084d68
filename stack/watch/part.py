"""The watch as a part of the stack. It needs no other: it is there to see them missing."""

import sys
from importlib.metadata import version

from pipelines.settings import Settings
from stack.ask import http_obstacle
from stack.part import Part, Port, Process

HOST = "127.0.0.1"
"""Its metrics ask nobody for a login, so they stay on this machine."""


def part(settings: Settings) -> Part:
    """One small process (``python -m stack.watch``)."""
    url = f"http://{HOST}:{settings.watch_port}/metrics"
    return Part(
        name="watch",
        processes=[
            Process(
                name="watch",
                command=[sys.executable, "-m", "stack.watch"],
                version=lambda: version("medloop"),
                ports=[Port(settings.watch_port, "MEDLOOP_WATCH_PORT")],
                url=url,
                obstacle=lambda _: http_obstacle(url),
                stop_seconds=10,
            )
        ],
    )
