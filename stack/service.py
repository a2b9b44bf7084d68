"""The prediction service. It starts with no champion too: it then waits for the first one."""

import sys
from importlib.metadata import version

from pipelines.settings import Settings
from stack.ask import http_obstacle
from stack.part import Part, Port, Process


def part(settings: Settings) -> Part:
    """The BentoML server; it watches MLflow by itself, so it needs no other part to start."""
    return Part(
        name="service",
        processes=[
            Process(
                name="service",
                command=[sys.executable, "-m", "serving"],
                stop_seconds=settings.service_kill_seconds,
                ports=[Port(settings.service_port, "MEDLOOP_SERVICE_PORT")],
                version=lambda: version("medloop"),
                url=settings.service,
                # yes or no from this very machine: whose certificate it is does not matter here
                obstacle=lambda _: http_obstacle(
                    f"{settings.service_address}/readyz", verify=False
                ),
            )
        ],
    )
