"""A second address that answers the classic web clients' API alone, from the same process.

Such clients call a port of their own (5000, as a rule). Every worker listens on it: the kernel
deals new connections out among them (``SO_REUSEPORT``).
"""

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp

from serving.access.exposure import Certificate
from serving.connections import Config
from serving.handshakes import Server

logger = logging.getLogger(__name__)

STARTED_CHECK_SECONDS = 0.01


class ClassicListener:
    """A server beside the service's own, in the same event loop.

    Args:
        app: what answers.
        host: address to listen on.
        port: port to listen on.
        certificate: what it shows; plain HTTP if ``None``.
    """

    def __init__(
        self, app: ASGIApp, *, host: str, port: int, certificate: Certificate | None
    ) -> None:
        self._address = (host, port)
        self._server = _Server(
            Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                ssl_certfile=certificate.cert if certificate else None,
                ssl_keyfile=certificate.key if certificate else None,
            )
        )
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen; returns once connections are taken.

        Raises:
            OSError: the port is taken, by another service than this one's workers.
        """
        shared = _shared_socket(*self._address)
        self._serving = asyncio.create_task(self._server.serve(sockets=[shared]))
        while not self._server.started:
            if self._serving.done():
                await self._serving
            await asyncio.sleep(STARTED_CHECK_SECONDS)
        logger.info("Classic clients are answered at %s:%d", *self._address)

    async def stop(self) -> None:
        """Take no more, answer what was asked, and end."""
        if self._serving:
            self._server.should_exit = True
            await self._serving


class _Server(Server):
    """Leaves the signals to the service's own server, which ends this one."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _shared_socket(host: str, port: int) -> socket.socket:
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    shared = socket.socket(family)
    try:
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        shared.bind((host, port))
    except OSError:
        shared.close()
        raise
    return shared
