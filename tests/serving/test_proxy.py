"""The example's nginx keeps from the service what it should: real sockets, a real nginx."""

import http.client
import json
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from pipelines.settings import Settings
from serving.access.permissions import guard_of
from serving.app import build_app
from serving.champions import Champions
from serving.connections import Server
from serving.executor import InferenceExecutor
from serving.image_request import Backend
from serving.uploads import MEGABYTE, Limits
from tests.serving.balancing import Proxy, proxied
from tests.serving.listening import listening
from tests.serving.running import free_port

BODY_SECONDS = 5
"""nginx's timeout of a body here; long enough for a busy machine to send one in two parts."""
CLIENTS = 4
"""Requests that one address may have at once here."""
SLOW = 100
GIVEN_UP = 20.0
"""Seconds by which a connection is closed, busy as the machine may be."""
POST = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"


@dataclass
class Counting:
    """The service's application, and the paths of the requests that reached it."""

    app: ASGIApp
    paths: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.paths.append(scope["path"])
        await self.app(scope, receive, send)


@dataclass(frozen=True)
class Exposed:
    """A service that asks for tokens, behind nginx."""

    proxy: Proxy
    app: Counting
    server: Server

    def connect(self) -> socket.socket:
        """A TCP connection to nginx, without a word yet."""
        port = self.proxy.http.base_url.port
        return socket.create_connection(("127.0.0.1", port or 0), timeout=5)

    def secured(self, port: int) -> httpx.Client:
        """A client that trusts nginx's certificate."""
        context = ssl.create_default_context(cafile=self.proxy.certificate)
        return httpx.Client(base_url=f"https://localhost:{port}", verify=context, trust_env=False)


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exposed]:
    folder = tmp_path_factory.mktemp("exposed")
    guard = guard_of(Settings(home=folder), tokens=True)
    executor = InferenceExecutor(1)
    app = Counting(build_app(guard, Backend(Champions(), executor, Limits())))
    changes = {
        "client_header_timeout": "1s",
        "client_body_timeout": f"{BODY_SECONDS}s",
        "limit_conn clients": str(CLIENTS),
    }
    with (
        listening(app) as (port, server),
        proxied(folder / "nginx", [port, port], **changes) as proxy,
    ):
        yield Exposed(proxy, app, server)
    executor.close()


@pytest.fixture(autouse=True)
def _forget(exposed: Exposed) -> None:
    exposed.app.paths.clear()


def closed_in(connection: socket.socket) -> float:
    """Send a byte now and then until the connection is closed; the seconds."""
    began = time.monotonic()
    connection.settimeout(0.2)
    while time.monotonic() - began < GIVEN_UP:
        try:
            connection.sendall(b"x")
            if not connection.recv(4096):
                break
        except TimeoutError:
            continue
        except OSError:
            break
    return time.monotonic() - began


def test_slow_headers_end_at_nginx_while_others_are_answered(exposed: Exposed) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(exposed.connect()) for _ in range(SLOW)]
        for connection in slow:
            connection.sendall(POST)
        assert exposed.proxy.http.get("/api/health").status_code == 200
        assert exposed.app.paths == ["/api/health"]
        assert len(exposed.server.server_state.connections) < SLOW
        assert closed_in(slow[0]) < GIVEN_UP


def test_a_body_reaches_the_service_when_it_is_complete(exposed: Exposed) -> None:
    with exposed.connect() as slow, exposed.connect() as stuck:
        for connection in (slow, stuck):
            connection.sendall(POST + b"Content-Length: 4\r\n\r\nab")
        assert exposed.proxy.http.get("/api/health").status_code == 200
        assert exposed.app.paths == ["/api/health"]
        slow.sendall(b"cd")
        assert slow.recv(4096).startswith(b"HTTP/1.1 401")
        assert exposed.app.paths == ["/api/health", "/predict"]
        stuck.settimeout(GIVEN_UP)
        try:
            received = stuck.recv(4096)
        except ConnectionResetError:
            received = b""
        assert received == b""
    assert exposed.app.paths == ["/api/health", "/predict"]


def test_a_body_that_is_too_large_is_refused_by_nginx_in_the_service_s_shape(
    exposed: Exposed,
) -> None:
    port = exposed.proxy.http.base_url.port
    for path in ("/predict", "/api/classify"):
        connection = http.client.HTTPConnection("localhost", port, timeout=GIVEN_UP)
        connection.putrequest("POST", path)
        connection.putheader("Content-Length", str(64 * MEGABYTE + 1))
        connection.endheaders()
        reply = connection.getresponse()
        answer = json.loads(reply.read())
        connection.close()
        assert reply.status == 413
        if path == "/predict":
            assert answer["error"]["code"] == "body_too_large"
            assert answer["request_id"] == reply.headers["X-Request-ID"]
        else:
            assert set(answer) == {"status", "message"}
    assert exposed.app.paths == []


def test_one_address_has_a_bounded_number_of_requests_at_once(exposed: Exposed) -> None:
    with ExitStack() as stack:
        for _ in range(CLIENTS):
            connection = stack.enter_context(exposed.connect())
            connection.sendall(POST + b"Content-Length: 4\r\n\r\n")
        ends = time.monotonic() + BODY_SECONDS
        while (reply := exposed.proxy.http.get("/api/health")).status_code == 200:
            assert time.monotonic() < ends, "nginx has read their headers by now"
    assert reply.status_code == 429
    assert set(reply.json()) == {"status", "message"}


def test_tls_ends_at_nginx_and_the_service_knows_of_it(exposed: Exposed) -> None:
    with exposed.secured(exposed.proxy.tls_port) as client:
        reply = client.post("/predict", files={"image": b"x"})
    assert reply.status_code == 401
    assert "max-age" in reply.headers["Strict-Transport-Security"]
    assert reply.json()["request_id"] == reply.headers["X-Request-ID"]


def test_the_legacy_port_answers_the_legacy_api_alone(exposed: Exposed) -> None:
    with exposed.secured(exposed.proxy.legacy_port) as client:
        assert client.get("/api/health").json() == {"status": "healthy", "model_loaded": False}
        refused = client.post("/api/classify", files={"file": b"x"})
        assert (refused.status_code, set(refused.json())) == (401, {"status", "message"})
        for path in ("/", "/predict", "/model", "/metrics", "/livez", "/api"):
            reply = client.get(path)
            assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")
    assert exposed.app.paths == ["/api/health", "/api/classify"]


def test_without_a_replica_nginx_says_so_in_the_service_s_shape(tmp_path: Path) -> None:
    with proxied(tmp_path, [free_port(), free_port()]) as proxy:
        reply = proxy.http.get("/model")
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "unavailable")
    assert reply.headers["Retry-After"]
