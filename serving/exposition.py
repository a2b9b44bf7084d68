"""``/metrics``: what all workers have counted, in Prometheus's words."""

import asyncio

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.requests import Request
from starlette.responses import Response


async def metrics(_: Request) -> Response:
    """The figures of all workers together."""
    text = await asyncio.to_thread(_written)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


def _written() -> bytes:
    registry = CollectorRegistry()
    try:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    except ValueError:  # no folder is set for what processes share, so there is one only
        registry = REGISTRY
    return generate_latest(registry)
