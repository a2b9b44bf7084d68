"""``/metrics``: what all workers have counted, in Prometheus's words."""

import asyncio
import os
from pathlib import Path

import psutil
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from starlette.requests import Request
from starlette.responses import Response


async def metrics(_: Request) -> Response:
    """The figures of all workers together."""
    text = await asyncio.to_thread(_written)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


def _forget_dead_workers() -> None:
    """Take away what ended workers said of themselves now; what they counted stays counted."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    for file in Path(folder).glob("gauge_live*_*.db") if folder else ():
        pid = int(file.stem.rpartition("_")[2])
        if not psutil.pid_exists(pid):
            mark_process_dead(pid, folder)  # type: ignore[no-untyped-call]


def _written() -> bytes:
    registry = CollectorRegistry()
    _forget_dead_workers()
    try:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    except ValueError:  # no folder is set for what processes share, so there is one only
        registry = REGISTRY
    return generate_latest(registry)
