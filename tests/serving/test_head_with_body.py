"""The head of an answer leaves with its body, so that a killed process leaves no half answer."""

import asyncio
import select
import socket

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from serving import connections
from serving.connections import Timeouts
from tests.serving.listening import listening

POST = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\n"


@pytest.fixture(autouse=True)
def _own_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("Config", "Server"):  # put back what `install` changes
        monkeypatch.setattr(uvicorn, name, getattr(uvicorn, name))
    connections.install(Timeouts())


async def _slow(scope: Scope, receive: Receive, send: Send) -> None:
    """Read the body; send the head of the answer, and half a second later its body."""
    if scope["type"] != "http":
        return
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"b")]})
    await asyncio.sleep(0.5)
    await send({"type": "http.response.body", "body": b"whole"})


def _received(connection: socket.socket) -> bytes:
    received = b""
    while part := connection.recv(4096):
        received += part
    return received


def test_nothing_is_sent_before_there_is_a_body() -> None:
    with listening(_slow) as (port, _), socket.create_connection(("127.0.0.1", port)) as asked:
        asked.settimeout(10)
        asked.sendall(POST + b"Content-Length: 1\r\n\r\n")
        assert asked.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        asked.sendall(b"x")
        assert not (select.select([asked], [], [], 0.2)[0] and asked.recv(4096))
        first = asked.recv(4096)
        assert first.startswith(b"HTTP/1.1 200")
        assert b"whole" in first


def test_an_answer_without_a_body_is_sent() -> None:
    with listening(_slow) as (port, _), socket.create_connection(("127.0.0.1", port)) as asked:
        asked.settimeout(10)
        asked.sendall(b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        head = _received(asked)
    assert head.startswith(b"HTTP/1.1 200")
    assert b"x-a: b" in head
    assert b"whole" not in head
