"""Connections whose clients are waited for too long, or of which there are too many, are ended.

uvicorn has no time limit for the end of a request's headers, for the rest of a body that was
answered early, or for a client that does not read its answer. Behind nginx (``examples/nginx``) no
such client reaches the service. Without a proxy, one client could otherwise take every file
descriptor of a worker (docs/decisions/application.md). The body of a request is timed where it is
read (`serving.uploads.read_body`), an answer in `serving.middleware`.
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any, Literal

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

Step = tuple[Literal["request", "body", "reading"], object]
"""What a client is waited for, and how far it is."""


@dataclass(frozen=True)
class Timeouts:
    """How long a client may take, and how many there may be; for each worker."""

    header_seconds: float = 10.0
    """For a request from the connection's begin, or from the answer before, to the end of its
    headers; and for the rest of a body that was answered early."""
    write_seconds: float = 30.0
    """For which an answer may stay unread."""
    stop_seconds: int = 30
    """For which a request may go on after the service was asked to stop."""
    connections: int = 500
    """Most at once. Beyond that, the one whose client has been waited for longest is ended."""


def install(timeouts: Timeouts) -> None:
    """Let BentoML run our server: it names the class when it starts one.

    Args:
        timeouts: the limits of each connection.
    """
    Server.timeouts = timeouts
    uvicorn.Server = Server  # type: ignore[misc]


class _Joined:
    """A transport that sends together what is written together.

    A process that is killed between the head and the body of an answer leaves half an answer. A
    proxy cannot send such a request to another replica; without any answer, it can.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Send as soon as the event loop gets to it."""
        if not self._parts:
            asyncio.get_running_loop().call_soon(self._send)
        self._parts.append(data)

    def close(self) -> None:
        """Close, once everything is sent."""
        self._send()
        self._transport.close()

    def _send(self) -> None:
        parts, self._parts = self._parts, []
        if parts and not self._transport.is_closing():
            self._transport.write(b"".join(parts))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol over such a transport."""

    owner: "Server"

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is connected; if there are too many now, another is not any more."""
        super().connection_made(_Joined(transport))  # type: ignore[arg-type]
        self.owner.admit(self)


class Server(uvicorn.Server):
    """uvicorn's server, which looks at its connections ten times a second, and at each new one."""

    timeouts = Timeouts()

    def __init__(self, config: uvicorn.Config) -> None:
        config.timeout_graceful_shutdown = self.timeouts.stop_seconds
        config.http = type("Protocol", (Protocol,), {"owner": self})
        config.ws = "none"  # nothing here speaks websockets
        # anybody can send nonsense, which uvicorn logs as a warning
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
        super().__init__(config)
        self._waiting: dict[Any, tuple[Step, float]] = {}
        """Connection → what its client is waited for (`_step`), and since when."""

    async def on_tick(self, counter: int) -> bool:
        """Called by uvicorn every tenth of a second; whether to stop."""
        self._end_overdue(asyncio.get_running_loop().time())
        return await super().on_tick(counter)

    def admit(self, connection: Protocol) -> None:
        """Take a new connection, and end others at once if there are too many.

        Which one has waited longest must not depend on when the connections are looked at: of
        those that came since, any could be the client that is about to send its request.
        """
        now = asyncio.get_running_loop().time()
        self._waiting[connection] = (("request", None), now)
        if len(self.server_state.connections) > self.timeouts.connections:
            self._end_overdue(now)

    def _end_overdue(self, now: float) -> None:
        before, self._waiting = self._waiting, {}
        for connection in self.server_state.connections:
            if (step := _step(connection)) is not None:
                known = before.get(connection)
                self._waiting[connection] = known if known and known[0] == step else (step, now)
        longest_first = sorted(self._waiting.items(), key=lambda item: item[1][1])
        excess = len(self.server_state.connections) - self.timeouts.connections
        for number, (connection, (step, since)) in enumerate(longest_first):
            if number < excess or now - since > self._most_seconds(step[0]):
                connection.transport.abort()

    def _most_seconds(self, awaited: str) -> float:
        limits = {"request": self.timeouts.header_seconds, "reading": self.timeouts.write_seconds}
        return limits.get(awaited, float("inf"))


def _step(connection: Any) -> Step | None:
    """What the client of a connection is waited for, and how far it is; ``None``: for nothing."""
    if unread := connection.transport.get_write_buffer_size():
        return "reading", unread
    cycle = connection.cycle
    if cycle is None or cycle.response_complete:
        return "request", cycle
    return ("body", cycle) if cycle.more_body else None
