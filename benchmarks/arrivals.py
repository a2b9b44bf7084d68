"""Requests that come at a constant rate, however long the answers take (an open loop).

A client that waits for one answer before it asks again slows down with the service and hides the
worst of it. Here each request has its time, and its latency counts from then.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.wire import HEAD_END, body_length


@dataclass(frozen=True)
class Answer:
    """One request's end."""

    due: float
    """When it was to be asked; seconds since the first."""
    latency: float
    """Seconds from then until the whole answer was there."""
    status: int
    """0 where there was none."""


@dataclass
class Arrivals:
    """Asks one question again and again.

    Args:
        port: of a service on this machine.
        message: the whole request.
        rate: requests in a second.
    """

    port: int
    message: bytes
    rate: float
    answers: list[Answer] = field(default_factory=list)
    _idle: deque["_Connection"] = field(default_factory=deque)
    _asking: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self, seconds: float) -> None:
        """Ask for so long, then wait for the last answers."""
        self._began = time.perf_counter()
        for number in range(int(seconds * self.rate)):
            due = number / self.rate
            await asyncio.sleep(max(0.0, self._began + due - time.perf_counter()))
            task = asyncio.create_task(self._ask(due))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)
        await asyncio.gather(*self._asking)
        for connection in self._idle:
            connection.close()

    async def _ask(self, due: float) -> None:
        status = 0
        try:
            connection = await self._connection()
            status = await connection.ask(self.message)
            self._idle.append(connection)
        except (OSError, ValueError):
            pass
        self.answers.append(Answer(due, time.perf_counter() - self._began - due, status))

    async def _connection(self) -> "_Connection":
        while self._idle:
            if (connection := self._idle.pop()).is_open:
                return connection
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, "127.0.0.1", self.port)
        return connection


class _Connection(asyncio.Protocol):
    """One kept connection with at most one question on it."""

    def __init__(self) -> None:
        self.is_open = True
        self._answer: asyncio.Future[int] | None = None
        self._received = bytearray()

    async def ask(self, message: bytes) -> int:
        """The status of the answer; raises ConnectionError where none comes."""
        self._received.clear()
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(message)
        return await self._answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(HEAD_END)
        if end < 0 or self._answer is None or self._answer.done():
            return
        head = bytes(self._received[:end])
        if len(self._received) >= end + len(HEAD_END) + body_length(head):
            self._answer.set_result(int(head.split(b" ", 2)[1]))

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionError("the service hung up"))

    def close(self) -> None:
        """Hang up."""
        self._transport.close()


def every(seconds: float, note: Callable[[], None]) -> asyncio.Task[None]:
    """Take a note now and then, until the task is cancelled."""

    async def noting() -> None:
        while True:
            note()
            await asyncio.sleep(seconds)

    return asyncio.create_task(noting())
