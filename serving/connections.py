"""Connections that nobody can hold: uvicorn's protocol with a clock on all a client may delay.

uvicorn waits for ever for a request that does not come, for the end of its headers, for the rest
of a body that was answered early, and for a client that does not read its answer. (A body that is
wanted has its own clock: `uploads.read_body`; an answer has one in `middleware`.) BentoML
names no protocol when it starts uvicorn, so `install` gives uvicorn our configuration.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

import httptools
import uvicorn
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from serving.context import KEY, RequestContext
from serving.metrics import count_refusal, count_request
from serving.refusals import EarlyRefusal

Note = Callable[[EarlyRefusal], None]
"""Takes note of a refusal, on the event loop: returns at once and never raises."""
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(frozen=True)
class Timeouts:
    """How long a client may take, and how many there may be; for each worker."""

    header_seconds: float = 10.0
    """For a TLS handshake; for a request from the connection's begin, or from its first byte, to
    the end of its headers; and for the rest of a body that was answered early."""
    write_seconds: float = 30.0
    """For which an answer may stay unread."""
    stop_seconds: float = 30.0
    """For which a request may go on once the service was told to stop."""
    connections: int = 500
    """Most at once. Beyond that, the one whose client has been waited for longest gives way."""


class Config(uvicorn.Config):
    """uvicorn's configuration with our protocol, and without websockets: nothing here speaks
    them, and uvicorn's protocol for them has no clocks."""

    def load(self) -> None:
        """Load the application and the certificate."""
        super().load()
        self.http_protocol_class = TimedProtocol
        self.ws_protocol_class = None


def install(timeouts: Timeouts, *, note: Note = lambda _: None) -> None:
    """Let uvicorn use our protocol and server; to be called before its server is configured.

    Args:
        timeouts: the limits of each connection.
        note: hears of requests that are refused before the application sees them.
    """
    TimedProtocol.timeouts = timeouts
    TimedProtocol.note = staticmethod(note)
    from serving.handshakes import Server

    uvicorn.Config = Config  # type: ignore[misc]
    uvicorn.Server = Server  # type: ignore[misc]


class _HeadWithBody:
    """A transport that sends the head of an answer together with the first part of its body.

    A process that is killed between the two leaves half an answer. A load balancer cannot send
    such a request to another replica; without any answer, it can.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""
        self._has_begun = False

    def write(self, data: bytes) -> None:
        """Send, or keep the head until there is more."""
        if self._has_begun or data == CONTINUE:
            self._transport.write(self._head + data)
            self._head = b""
        else:
            self._has_begun = True
            self._head = data

    def flush(self) -> None:
        """Send the head of an answer without a body."""
        if self._head:
            self.write(b"")

    def close(self) -> None:
        """Close, once everything is sent."""
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether the connection is closed or about to be."""
        return self._transport.is_closing()


class TimedProtocol(HttpToolsProtocol):
    """One client's connection, which ends when the client takes too long."""

    timeouts = Timeouts()
    _is_given_up = False
    note: Note = staticmethod(lambda _: None)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request, if there is room."""
        self._clocks: dict[str, asyncio.TimerHandle] = {}
        self._in_headers = False
        self._running: RequestResponseCycle | None = None
        super().connection_made(transport)
        # Or the last kilobytes of an unread answer would wait without a clock. (TLS takes 0 for
        # always full.)
        transport.set_write_buffer_limits(high=1)
        self._await_request()
        if not self._has_room():
            self._refuse(503, "overloaded", "There are too many connections. Try again later.")

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all clocks, and let the application write no more: uvicorn tells only the newest
        of several requests sent one behind the other."""
        super().connection_lost(exc)
        if self._running is not None:
            self._running.disconnected = True
            self._running.message_event.set()
        for name in tuple(self._clocks):
            self._stop(name)

    def data_received(self, data: bytes) -> None:
        """Read on. Anybody can send nonsense, so none of it is logged."""
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # to a protocol not spoken here: the request is answered as any other
        except httptools.HttpParserError:
            self._refuse(400, "bad_request", "This is not a valid HTTP request.")

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_headers = True
        self._start("header", self.timeouts.header_seconds, self._header_is_late)

    def on_headers_complete(self) -> None:
        """Its headers are there; its body has a clock of its own."""
        self._in_headers = False
        self._stop("header")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Its body is there; if it was answered early, the connection is free again."""
        super().on_message_complete()
        if "rest" in self._clocks:
            self._stop("rest")
            self._await_request()

    def on_response_complete(self) -> None:
        """It is answered. A client may send the rest of its body, but not at leisure."""
        if self._running and isinstance(self._running.transport, _HeadWithBody):
            self._running.transport.flush()
        super().on_response_complete()
        self._waits_since = self.loop.time()
        if self.transport.is_closing() or not self.cycle.response_complete:
            return
        if self.cycle.more_body:
            self._start("rest", self.timeouts.header_seconds, self.transport.close)
        elif not self._in_headers:
            self._await_request()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        cycle.transport = _HeadWithBody(cycle.transport)  # type: ignore[assignment]
        super()._start_asgi_task(cycle, app)

    def pause_writing(self) -> None:
        """The client does not read as fast as it is written to."""
        super().pause_writing()
        self._start("write", self.timeouts.write_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has read on."""
        self._stop("write")
        super().resume_writing()

    def shutdown(self) -> None:
        """The service ends: what is in flight may go on for a while."""
        super().shutdown()
        self._start("stop", self.timeouts.stop_seconds, self.transport.abort)

    @property
    def waits_for_client(self) -> bool:
        """Whether no request has arrived whole that is still to be answered."""
        return self.cycle is None or self.cycle.response_complete or self.cycle.more_body

    def give_up(self) -> None:
        """End the connection at once."""
        self._is_given_up = True
        self.transport.abort()

    def _await_request(self) -> None:
        self._waits_since = self.loop.time()
        self._start("header", self.timeouts.header_seconds, self._header_is_late)

    def _has_room(self) -> bool:
        """Whether there may be one more connection. If there are too many, the one whose client
        has been waited for longest is ended."""
        if len(self.connections) <= self.timeouts.connections:
            return True
        known = [c for c in self.connections if isinstance(c, TimedProtocol)]
        others = [c for c in known if c is not self and not c._is_given_up]
        if len(others) < self.timeouts.connections:
            return True  # those given up are about to leave
        waiting = [c for c in others if c.waits_for_client]
        if waiting:
            min(waiting, key=lambda c: c._waits_since).give_up()
        return bool(waiting)

    def _header_is_late(self) -> None:
        if not self._in_headers:
            # nothing came: browsers open connections in advance, and expect no answer on them
            self.transport.close()
        else:
            seconds = self.timeouts.header_seconds
            self._refuse(408, "too_slow", f"The headers did not arrive within {seconds:g} s.")

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Answer in the application's place, and end the connection."""
        cycle = self.cycle
        is_open = cycle is not None and not cycle.response_complete
        if is_open and (cycle.response_started or not cycle.more_body):
            # The client would take this for a part of the answer that is under way.
            self.transport.abort()
            return
        address = self.client[0] if self.client else None
        refusal = EarlyRefusal(status, code, message, address, self.scheme or "http")
        if is_open:
            # The application sees the client go and notes that itself, under its own ID.
            context: RequestContext | None = cycle.scope.get(KEY)  # type: ignore[assignment]
            if context:
                refusal = replace(refusal, request_id=context.request_id)
            cycle.disconnected = True
            cycle.message_event.set()
        else:
            count_refusal(code)
            count_request("other", status=status, seconds=self.loop.time() - self._waits_since)
            self.note(refusal)
        self.transport.write(bytes(refusal))
        self.transport.close()

    def _start(self, name: str, seconds: float, then: Callable[[], None]) -> None:
        self._stop(name)
        self._clocks[name] = self.loop.call_later(seconds, then)

    def _stop(self, name: str) -> None:
        if clock := self._clocks.pop(name, None):
            clock.cancel()
