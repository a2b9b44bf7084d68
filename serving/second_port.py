"""The second port of ``MEDLOOP_CLASSIC_PORT``, which is deprecated: a proxy opens it now
(``examples/nginx``).

Every worker listens on it: the kernel spreads new connections over them (``SO_REUSEPORT``).
"""

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from serving.access.exposure import Certificate
from serving.connections import Server

logger = logging.getLogger(__name__)


class SecondPort(Server):
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
        files = (certificate.cert, certificate.key) if certificate else (None, None)
        config = uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            access_log=False,
            ssl_certfile=files[0],
            ssl_keyfile=files[1],
        )
        super().__init__(config)
        self._address = (host, port)
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the port is taken, by another service than this one's workers.
        """
        logger.warning(
            "MEDLOOP_CLASSIC_PORT is deprecated and will be removed with the next release: "
            "let nginx listen there instead, see examples/nginx/medloop.conf."
        )
        family = socket.getaddrinfo(*self._address, type=socket.SOCK_STREAM)[0][0]
        shared = socket.create_server(self._address, family=family, reuse_port=True)
        self._serving = asyncio.create_task(self.serve(sockets=[shared]))

    async def stop(self) -> None:
        """Take no more, answer what was asked, and end."""
        if self._serving:
            self.should_exit = True
            await self._serving

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the service's own server, which ends this one."""
        yield
