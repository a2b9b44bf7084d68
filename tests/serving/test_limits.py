"""How much, and how slowly, a client may send."""

import asyncio
from collections.abc import Iterable

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient
from starlette.types import Message

from serving.context import Problem, context_of, open_context
from serving.image_request import Backend
from serving.uploads import DRAINED, Limits, UploadBudget, UploadShare, read_body
from tests.serving.bundles import png

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


def _request(client: Client) -> Request:
    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": []}
    open_context(scope)
    return Request(scope, client.receive)


def _share(request: Request) -> UploadShare:
    share = context_of(request).upload
    assert share
    return share


def _read(client: Client) -> bytes:
    return asyncio.run(read_body(_request(client), LIMITS))


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


def test_all_bodies_together_are_bounded_and_room_comes_back() -> None:
    budget = UploadBudget(most=150)
    limits = Limits(body_bytes=100, budget=budget)
    first, second = (_request(Client([b"a" * 50, b"b" * 40])) for _ in range(2))
    assert len(asyncio.run(read_body(first, limits))) == 90
    with pytest.raises(Problem, match="can hold") as caught:
        asyncio.run(read_body(second, limits))
    assert (caught.value.status, caught.value.code) == (503, "overloaded")
    assert caught.value.headers["Retry-After"] == "1"
    _share(second).release()
    _share(first).release()
    third = _request(Client([b"a" * 100]))
    assert len(asyncio.run(read_body(third, limits))) == 100


def test_what_is_too_large_is_not_held() -> None:
    budget = UploadBudget(most=150)
    request = _request(Client([b"a" * 90, b"b" * 40]))
    with pytest.raises(Problem, match="larger than"):
        asyncio.run(read_body(request, Limits(body_bytes=100, budget=budget)))
    budget.take(150)


def test_an_answered_request_holds_nothing(serving_client: TestClient, backend: Backend) -> None:
    for image in (png(), b"no image", b"x" * 190_000):
        serving_client.post("/predict", content=image, headers={"Content-Type": "image/png"})
    assert backend.limits.budget.taken == 0


def test_a_client_that_leaves_is_no_crash() -> None:
    async def gone() -> Message:
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": []}
    open_context(scope)
    with pytest.raises(Problem) as caught:
        asyncio.run(read_body(Request(scope, gone), LIMITS))
    assert caught.value.code == "disconnected"
