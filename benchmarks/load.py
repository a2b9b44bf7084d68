"""Many clients at once, each asking again as soon as it is answered (a closed loop)."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.wire import HEAD_END, body_length, require_ok

LEAST = 2
"""Answers that quantiles need."""


@dataclass(frozen=True)
class Load:
    """What came of it."""

    answers: int
    seconds: float
    latencies: list[float]
    client_share: float
    """Processor time of the client itself, in processors."""

    @property
    def rate(self) -> float:
        """Answers in a second."""
        return self.answers / self.seconds


def saturate(port: int, message: bytes, *, clients: int, seconds: float) -> Load:
    """Keep ``clients`` connections busy for a while, and until there are answers to judge.

    The first tenth does not count.

    Raises:
        Refused: an answer's status is not 200.
    """
    return asyncio.run(_saturate(port, message, clients=clients, seconds=seconds))


async def _saturate(port: int, message: bytes, *, clients: int, seconds: float) -> Load:
    loop = asyncio.get_running_loop()
    asked = [Client(message, loop.create_future()) for _ in range(clients)]
    for client in asked:
        await loop.create_connection(_always(client), "127.0.0.1", port)
    await _or_failure(asked, seconds / 10)
    for client in asked:
        client.latencies.clear()
    began, worked = time.perf_counter(), time.process_time()
    await _or_failure(asked, seconds)
    while sum(len(client.latencies) for client in asked) < LEAST:
        await _or_failure(asked, seconds)
    took, worked = time.perf_counter() - began, time.process_time() - worked
    latencies = [latency for client in asked for latency in client.latencies]
    for client in asked:
        client.close()
    return Load(len(latencies), took, latencies, worked / took)


async def _or_failure(clients: list["Client"], seconds: float) -> None:
    """Wait; what a client fails with is raised at once."""
    done, _ = await asyncio.wait([client.failed for client in clients], timeout=seconds)
    for failure in done:
        failure.result()


def _always(client: "Client") -> Callable[[], "Client"]:
    return lambda: client


@dataclass
class Client(asyncio.Protocol):
    """One connection that asks on and on."""

    message: bytes
    failed: asyncio.Future[None]
    latencies: list[float] = field(default_factory=list)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(HEAD_END)
        if end < 0 or len(self._received) < end + len(HEAD_END) + body_length(
            bytes(self._received[:end])
        ):
            return
        try:
            require_ok(bytes(self._received[:end]), bytes(self._received[end:]))
        except Exception as error:
            self.failed.set_exception(error)
            return
        self.latencies.append(time.perf_counter() - self._asked)
        self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.failed.done():
            self.failed.set_exception(error or ConnectionError("the service hung up"))

    def close(self) -> None:
        """Hang up."""
        self.failed.cancel()
        self._transport.close()

    def _ask(self) -> None:
        self._received = bytearray()
        self._asked = time.perf_counter()
        self._transport.write(self.message)
