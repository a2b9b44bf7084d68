"""Connections that nobody can hold: uvicorn's protocol with a clock on all a client may delay.

uvicorn waits for ever for a request that does not come, for the end of its headers, and for a
client that does not read its answer. (A body has its own clock: `limits.read_body`.) BentoML
starts uvicorn without naming a protocol, so `install` puts ours in uvicorn's table of them.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import uvicorn.config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

CLOSING = b"Content-Length: 0\r\nConnection: close\r\n\r\n"
TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\n" + CLOSING
FULL = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n" + CLOSING


@dataclass(frozen=True)
class Patience:
    """How long a client may take, and how many there may be; for each worker."""

    header_seconds: float = 10.0
    """From a connection's begin, or a request's first byte, to the end of the headers."""
    write_seconds: float = 30.0
    """For which an answer may stay unread."""
    stop_seconds: float = 30.0
    """For which a request may go on once the service was told to stop."""
    connections: int = 500
    """Most at once. Beyond that, the one whose client has been waited for longest gives way."""


def install(patience: Patience) -> None:
    """Let uvicorn use `PatientProtocol`; to be called before its server starts."""
    PatientProtocol.patience = patience
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{PatientProtocol.__name__}"


class PatientProtocol(HttpToolsProtocol):
    """One client's connection, which ends when the client takes too long."""

    patience = Patience()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request, if there is room."""
        super().connection_made(transport)
        self._waits_since = self.loop.time()
        self._is_asked = False
        self._clocks: dict[str, asyncio.TimerHandle] = {}
        if len(self.connections) > self.patience.connections and not self._make_room():
            self._end_with(FULL)
        else:
            self._start("header", self.patience.header_seconds, self._header_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all clocks."""
        super().connection_lost(exc)
        for name in tuple(self._clocks):
            self._stop(name)

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._is_asked = True
        self._start("header", self.patience.header_seconds, self._header_is_late)

    def on_headers_complete(self) -> None:
        """Its headers are there; its body has a clock of its own."""
        self._stop("header")
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """It is answered."""
        self._waits_since = self.loop.time()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """The client does not read as fast as it is written to."""
        super().pause_writing()
        self._start("write", self.patience.write_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has read on."""
        self._stop("write")
        super().resume_writing()

    def shutdown(self) -> None:
        """The service ends: what is in flight may go on for a while."""
        super().shutdown()
        self._start("stop", self.patience.stop_seconds, self.transport.abort)

    @property
    def waits_for_client(self) -> bool:
        """Whether no request has arrived whole that is still to be answered."""
        return self.cycle is None or self.cycle.response_complete or self.cycle.more_body

    def _make_room(self) -> bool:
        """End the connection whose client has been waited for longest; whether there was one."""
        others = (c for c in self.connections if isinstance(c, PatientProtocol) and c is not self)
        waiting = [c for c in others if c.waits_for_client and not c.transport.is_closing()]
        if not waiting:
            return False
        min(waiting, key=lambda c: c._waits_since).transport.abort()
        return True

    def _header_is_late(self) -> None:
        if not self._is_asked:
            # nothing came: browsers open connections in advance, and expect no answer on them
            self.transport.close()
        else:
            self._end_with(TOO_SLOW)

    def _end_with(self, reply: bytes) -> None:
        self.transport.write(reply)
        self.transport.close()

    def _start(self, name: str, seconds: float, then: Callable[[], None]) -> None:
        self._stop(name)
        self._clocks[name] = self.loop.call_later(seconds, then)

    def _stop(self, name: str) -> None:
        if clock := self._clocks.pop(name, None):
            clock.cancel()
