"""TLS handshakes under the same clocks and the same bound as requests.

An event loop that accepts connections for TLS itself (``create_server(ssl=…)``) shows a
connection only when its handshake is done: until then nothing counts it, nothing can end it, and
it may take a minute. So the server accepts them here.
"""

import asyncio
import socket
from contextlib import suppress

import uvicorn

from serving.connections import TimedProtocol

PAUSE_SECONDS = 0.1
"""After a connection could not be accepted, for want of file descriptors as a rule."""


class TlsProtocol(TimedProtocol):
    """One client's connection, counted from its first packet on."""

    _socket: socket.socket | None = None
    """While it is in its handshake."""

    def arrive(self, connection: socket.socket) -> bool:
        """Count a connection whose handshake begins; ``False`` if there is no room for it."""
        self._socket = connection
        self._waits_since = self.loop.time()
        self.connections.add(self)
        return self._has_room()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The handshake is done."""
        self._socket = None
        super().connection_made(transport)

    def leave(self) -> None:
        """Count it no longer: its handshake has failed."""
        self.connections.discard(self)

    def give_up(self) -> None:
        """End the connection at once, also during its handshake."""
        if self._socket is None:
            super().give_up()
        else:
            self._is_given_up = True
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def shutdown(self) -> None:
        """The service ends: a handshake is nothing to wait for."""
        if self._socket is None:
            super().shutdown()
        else:
            self.give_up()


class Server(uvicorn.Server):
    """uvicorn's server, which accepts the connections for TLS itself."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        if self.config.ssl is None:
            await super().startup(sockets)
            return
        assert sockets, "it is given its sockets: by BentoML, or by the second listener"
        for listening in sockets:
            listening.setblocking(False)
            listening.listen(self.config.backlog)
        await super().startup([])
        listeners = [TlsListener(self, listening) for listening in sockets]
        self.servers.extend(listeners)  # type: ignore[arg-type]  # it closes them, no more


class TlsListener:
    """Accepts the connections of one socket; closed as an `asyncio.Server` is.

    Args:
        server: whose configuration and connections they share.
        listening: the socket; it is closed by the server.
    """

    def __init__(self, server: uvicorn.Server, listening: socket.socket) -> None:
        self._server = server
        self._socket = listening
        self._handshakes: set[asyncio.Task[None]] = set()
        self._accepting = asyncio.get_running_loop().create_task(self._accept_all())

    def close(self) -> None:
        """Accept no more."""
        self._accepting.cancel()

    async def wait_closed(self) -> None:
        """Wait until no connection is accepted any more."""
        await asyncio.wait([self._accepting])

    async def _accept_all(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(self._socket)
            except OSError:
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            handshake = loop.create_task(self._shake_hands(connection))
            self._handshakes.add(handshake)
            handshake.add_done_callback(self._handshakes.discard)

    async def _shake_hands(self, connection: socket.socket) -> None:
        loop, config = asyncio.get_running_loop(), self._server.config
        protocol = TlsProtocol(
            config, self._server.server_state, self._server.lifespan.state, _loop=loop
        )
        seconds = protocol.timeouts.header_seconds
        if not protocol.arrive(connection):
            protocol.leave()
            connection.close()
            return
        try:
            connection.setblocking(False)
            await loop.connect_accepted_socket(
                lambda: protocol,
                connection,
                ssl=config.ssl,
                ssl_handshake_timeout=seconds,
                ssl_shutdown_timeout=seconds,
            )
        except OSError:  # it broke off, was too slow, or spoke no TLS: no news, of a stranger
            protocol.leave()
            connection.close()
