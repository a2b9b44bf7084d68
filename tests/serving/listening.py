"""An ASGI application behind the service's own server, in a thread of this process."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from serving.access.exposure import Certificate
from serving.connections import Server, Timeouts

START_SECONDS = 10


@contextmanager
def listening(
    app: ASGIApp, *, certificate: Certificate | None = None, timeouts: Timeouts | None = None
) -> Iterator[tuple[int, Server]]:
    """Serve an application as the service is served; yields the port and the server."""
    server = Server(
        uvicorn.Config(
            app,
            port=0,
            lifespan="off",
            log_config=None,
            server_header=False,
            ssl_certfile=certificate.cert if certificate else None,
            ssl_keyfile=certificate.key if certificate else None,
        )
    )
    server.timeouts = timeouts or Timeouts()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
        thread = threading.Thread(
            target=server.run, args=([listener],), name="listening", daemon=True
        )
        thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not server.started:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield port, server
        server.should_exit = True
        thread.join(START_SECONDS)
