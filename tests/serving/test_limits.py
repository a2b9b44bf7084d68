"""How much, and how slowly, a client may send."""

import asyncio
from collections.abc import Iterable

import pytest
from starlette.requests import Request
from starlette.types import Message

from serving.limits import DRAINED, Limits, read_body
from serving.problems import Problem

LIMITS = Limits(body_bytes=100, read_seconds=0.05)


class Client:
    """Sends parts of a body as an ASGI server hands them on."""

    def __init__(self, parts: Iterable[bytes], *, seconds_between: float = 0) -> None:
        self.parts = iter(parts)
        self.seconds = seconds_between
        self.sent = 0

    async def receive(self) -> Message:
        await asyncio.sleep(self.seconds)
        try:
            part = next(self.parts)
        except StopIteration:
            return {"type": "http.request", "body": b"", "more_body": False}
        self.sent += len(part)
        return {"type": "http.request", "body": part, "more_body": True}


def _read(client: Client) -> bytes:
    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": []}
    return asyncio.run(read_body(Request(scope, client.receive), LIMITS))


def test_a_body_up_to_the_limit_is_read_whole() -> None:
    assert _read(Client([b"a" * 60, b"b" * 40])) == b"a" * 60 + b"b" * 40


def test_one_byte_more_is_too_much() -> None:
    with pytest.raises(Problem) as caught:
        _read(Client([b"a" * 60, b"b" * 41]))
    assert (caught.value.status, caught.value.code) == (413, "body_too_large")


def test_an_endless_body_is_not_read_to_its_end() -> None:
    client = Client(b"x" * 10 for _ in range(10**6))
    with pytest.raises(Problem, match="larger than"):
        _read(client)
    assert client.sent <= DRAINED * LIMITS.body_bytes + 10


def test_a_slow_body_is_given_up() -> None:
    client = Client((b"x" for _ in range(50)), seconds_between=0.02)
    with pytest.raises(Problem) as caught:
        _read(client)
    assert (caught.value.status, caught.value.code) == (408, "too_slow")


def test_a_client_that_leaves_is_no_crash() -> None:
    async def gone() -> Message:
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": []}
    with pytest.raises(Problem) as caught:
        asyncio.run(read_body(Request(scope, gone), LIMITS))
    assert caught.value.code == "disconnected"
