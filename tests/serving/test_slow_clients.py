"""Clients that delay at every point where one can, on real sockets, with short clocks."""

import contextlib
import logging
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipelines.access.store import add_token
from pipelines.access.tokens import Role, mint
from pipelines.settings import Settings
from serving.access.permissions import Guard, guard_of
from serving.app import build_app
from serving.champions import Champions
from serving.connections import Server, Timeouts
from serving.executor import InferenceExecutor
from serving.image_request import Backend
from serving.uploads import Limits
from tests.serving.certificates import make_certificate
from tests.serving.listening import listening

SHORT = 1.0
"""Seconds of every clock."""
MOST = 12
"""Connections at once."""
GIVEN_UP = 6.0
"""Seconds by which a connection is closed, busy as the machine may be."""
ICON = b"GET /web/icon.svg HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@dataclass(frozen=True)
class Running:
    """A service in this process."""

    port: int
    guard: Guard
    settings: Settings
    token: dict[Role, str]
    server: Server
    certificate: Path | None = None

    @property
    def connections(self) -> list[Any]:
        """Those the server has now."""
        return list(self.server.server_state.connections)

    def connect(self) -> socket.socket:
        """A TCP connection, without a word yet."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=5)

    def head(self, method: str, path: str, role: Role | None = None, *more: str) -> bytes:
        """The headers of a request that announces 100,000 bytes."""
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Length: 100000", *more]
        if role:
            lines.append(f"Authorization: Bearer {self.token[role]}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


@pytest.fixture(params=["http", "https"])
def running(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    """A service that asks for tokens and waits hardly at all, over TCP and over TLS."""
    yield from serve(tmp_path, tls=request.param == "https")


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Running]:
    yield from serve(tmp_path, tls=False)


def serve(folder: Path, *, tls: bool) -> Iterator[Running]:
    settings = Settings(home=folder)
    texts = {}
    for role in Role:
        token, texts[role] = mint(f"a-{role}", role)
        add_token(settings, token)
    guard = guard_of(settings, tokens=True)
    guard.audit.start()
    executor = InferenceExecutor(1)
    backend = Backend(Champions(), executor, Limits(body_bytes=1000, read_seconds=SHORT))
    timeouts = Timeouts(header_seconds=SHORT, write_seconds=SHORT, connections=MOST)
    made = make_certificate(folder / "tls") if tls else None
    with listening(build_app(guard, backend), certificate=made, timeouts=timeouts) as (
        port,
        server,
    ):
        yield Running(port, guard, settings, texts, server, made.cert if made else None)
    executor.close()


def client(running: Running) -> socket.socket:
    """A connection ready for a request."""
    return secured(running, running.connect())


def secured(running: Running, connection: socket.socket) -> socket.socket:
    """The same with TLS, where the service speaks it."""
    if running.certificate is None:
        return connection
    context = ssl.create_default_context(cafile=running.certificate)
    return context.wrap_socket(connection, server_hostname="127.0.0.1")


def drip(connection: socket.socket, drop: bytes = b"x") -> tuple[bytes, float]:
    """Send a byte now and then until the connection is closed; what was read, and the seconds."""
    began, received = time.monotonic(), b""
    while time.monotonic() - began < GIVEN_UP:
        try:
            connection.sendall(drop)
            connection.settimeout(0.05)
            while part := connection.recv(65536):
                received += part
            break
        except TimeoutError:
            continue
        except OSError:
            break
    return received, time.monotonic() - began


@pytest.mark.parametrize(
    ("status", "method", "path", "role"),
    [
        (401, "POST", "/predict", None),
        (403, "POST", "/metrics", Role.PREDICT),
        (404, "POST", "/no/such", Role.ADMIN),
        (405, "POST", "/classes", Role.PREDICT),
        (200, "GET", "/classes", Role.PREDICT),
    ],
)
def test_an_early_answer_does_not_leave_the_connection_to_a_client_that_drips_its_body(
    running: Running, status: int, method: str, path: str, role: Role | None
) -> None:
    with client(running) as connection:
        connection.sendall(running.head(method, path, role))
        received, seconds = drip(connection)
    assert received.startswith(f"HTTP/1.1 {status} ".encode())
    assert seconds < GIVEN_UP


def test_a_body_that_ends_in_time_keeps_its_connection_for_the_next_request(
    running: Running,
) -> None:
    with client(running) as connection:
        connection.sendall(running.head("POST", "/predict"))
        received = connection.recv(65536)
        assert received.startswith(b"HTTP/1.1 401")
        connection.sendall(
            b"x" * 100_000 + b"GET /web/icon.svg HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        )
        while b"HTTP/1.1 200" not in received:
            part = connection.recv(65536)
            assert part
            received += part


def test_after_an_answer_stray_bytes_do_not_hold_the_connection(running: Running) -> None:
    early = running.head("POST", "/predict") + b"x" * 100_000
    for request in (ICON, early):
        with client(running) as connection:
            connection.sendall(request)
            _, seconds = drip(connection, b"\r\n")
            assert seconds < GIVEN_UP


def test_an_answer_that_is_not_read_to_its_end_does_not_hold_the_connection(
    running: Running,
) -> None:
    """However little of it is left: the kernel takes most of it."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(5)
    connection.connect(("127.0.0.1", running.port))
    with secured(running, connection) as client:
        head = running.head("GET", "/docs.json", Role.PREDICT).replace(b"100000", b"0")
        until(lambda: bool(running.connections and running.connections[0].transport))
        (protocol,) = running.connections
        kernel = protocol.transport.get_extra_info("socket")
        kernel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        client.sendall(head)
        until(lambda: protocol.cycle is not None and protocol.cycle.response_started)
        assert protocol.transport.get_write_buffer_size() < 65536
        until(lambda: not running.connections)


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that comes within `GIVEN_UP` seconds."""
    deadline = time.monotonic() + GIVEN_UP
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_beyond_the_most_connections_the_oldest_give_way(plain: Running) -> None:
    with contextlib.ExitStack() as stack:
        old = [stack.enter_context(plain.connect()) for _ in range(MOST)]
        until(lambda: len(plain.server._waiting) == MOST)
        newer = [stack.enter_context(plain.connect()) for _ in range(MOST // 2)]
        with client(plain) as good:
            good.sendall(ICON)
            assert good.recv(65536).startswith(b"HTTP/1.1 200")
        until(lambda: sum(map(is_closed, old)) >= MOST // 2)
        assert not any(map(is_closed, newer))


def is_closed(connection: socket.socket) -> bool:
    if not select.select([connection], [], [], 0)[0]:
        return False
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def test_nonsense_is_refused_and_fills_no_log(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for sent in (b"nonsense\r\n\r\n", b"GET /\xff HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"):
        with client(running) as connection:
            connection.sendall(sent)
            connection.settimeout(GIVEN_UP)
            assert connection.recv(65536).startswith(b"HTTP/1.1 400 ")
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING], "strangers fill the log"


def test_an_answer_leaves_in_one_piece(running: Running) -> None:
    """A process that is killed after the head would leave half an answer, which a proxy cannot
    ask for again."""
    request = running.head("GET", "/classes", Role.PREDICT).replace(b"100000", b"0")
    with client(running) as connection:
        for _ in range(20):
            connection.sendall(request)
            assert connection.recv(65536).endswith(b'\r\n\r\n{"datasets":[]}')


def test_a_websocket_is_answered_as_any_request_and_under_the_same_clocks(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    upgrade = (
        b"GET /model HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with client(running) as connection:
        connection.sendall(upgrade)
        received, seconds = drip(connection)
    assert received.startswith(b"HTTP/1.1 401 ")
    assert b"token_needed" in received
    assert seconds < GIVEN_UP
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]
