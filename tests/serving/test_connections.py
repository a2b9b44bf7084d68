"""Clients that hang, at every point where one can, on real sockets."""

import select
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from serving.uploads import MEGABYTE
from tests.serving.bundles import png
from tests.serving.running import running_service

HANGING = 200
MOST = 120
HEAD = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"


@pytest.fixture(scope="module")
def impatient(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service that waits half a second where others wait ten and thirty."""
    home = tmp_path_factory.mktemp("home")
    settings = {"service_header_seconds": 0.5, "service_write_seconds": 0.5}
    with running_service(home, "--bundle", str(bundle), **settings) as client:
        yield client


@pytest.fixture(scope="module")
def http(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    home = tmp_path_factory.mktemp("home")
    settings = {"service_connections": MOST}
    with running_service(home, "--bundle", str(bundle), **settings) as client:
        yield client


HANGS = {
    "says nothing": b"",
    "one byte": b"P",
    "headers without end": HEAD,
    "no body": HEAD + b"Content-Length: 1000\r\n\r\n",
    "half a body": HEAD + b"Content-Length: 1000\r\n\r\nsome of it",
    "half a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nsom",
    "keeps its connection": b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
}
"""What hanging clients have sent."""


@pytest.mark.parametrize("sent", HANGS.values(), ids=HANGS)
def test_good_clients_are_served_beside_hundreds_that_hang(http: httpx.Client, sent: bytes) -> None:
    alone = _median_seconds(http)
    with _hanging(http, sent, count=HANGING):
        assert _median_seconds(http) < 5 * alone + 0.05


def test_more_connections_than_there_may_be_push_out_the_longest_idle(http: httpx.Client) -> None:
    with _hanging(http, b"", count=MOST) as idle:
        time.sleep(0.5)  # older than the next by more than the service can tell apart
        with _hanging(http, b"", count=HANGING) as newer:
            assert _median_seconds(http) < 1
            assert _wait(lambda: all(_is_closed(connection) for connection in idle))
            assert sum(not _is_closed(connection) for connection in newer) > MOST // 2
            process = psutil.Process(http.get("/model").json()["pid"])
            mine = [c for c in process.net_connections() if c.status == psutil.CONN_ESTABLISHED]
            assert len(mine) <= MOST + 1


def test_a_request_whose_headers_do_not_end_is_given_up(impatient: httpx.Client) -> None:
    for sent in (b"P", HEAD):
        with _hanging(impatient, sent, count=1) as (connection,):
            assert _wait(lambda: _is_closed(connection), seconds=5)


def test_a_connection_on_which_nothing_is_said_is_closed_without_a_word(
    impatient: httpx.Client,
) -> None:
    with _hanging(impatient, b"", count=1) as (connection,):
        assert _wait(lambda: _is_closed(connection), seconds=5)


def test_a_kept_connection_s_second_request_is_given_up_too(impatient: httpx.Client) -> None:
    whole = HANGS["keeps its connection"]
    with _hanging(impatient, whole + HEAD, count=1) as (connection,):
        connection.settimeout(5)
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        assert _wait(lambda: _is_closed(connection), seconds=5)


def test_a_client_that_does_not_read_its_answer_is_given_up(impatient: httpx.Client) -> None:
    process = psutil.Process(impatient.get("/model").json()["pid"])
    request = b"GET /docs.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 2000
    before = process.num_fds()
    with _hanging(impatient, request, count=3):
        assert _wait(lambda: process.num_fds() <= before)
    assert impatient.get("/livez").status_code == 200


def test_many_large_bodies_at_once_are_bounded(http: httpx.Client) -> None:
    process = psutil.Process(http.get("/model").json()["pid"])
    before = process.memory_info().rss
    body = b"\xff" * (30 * MEGABYTE)
    head = HEAD + b"Content-Length: %d\r\n\r\n" % (len(body) + 1)
    with ExitStack() as stack:
        replies = []
        for _ in range(12):  # 360 MB, of which 256 may be held
            connection = stack.enter_context(_connected(http))
            connection.settimeout(20)
            connection.sendall(head + body)
            replies.append(connection)
        assert _median_seconds(http) < 5
        grown = process.memory_info().rss - before
        assert grown < 330 * MEGABYTE
        refused = [connection for connection in replies if _readable(connection)]
        assert 3 <= len(refused) <= 5
        assert all(c.recv(20).startswith(b"HTTP/1.1 503") for c in refused)
    assert _wait(lambda: process.memory_info().rss - before < 100 * MEGABYTE)
    assert http.post("/predict", files={"image": png()}).status_code == 200


@contextmanager
def _hanging(http: httpx.Client, sent: bytes, *, count: int) -> Iterator[list[socket.socket]]:
    """Connections that have sent something and then do nothing."""
    with ExitStack() as stack:
        connections = [stack.enter_context(_connected(http)) for _ in range(count)]
        for connection in connections:
            with suppress(ConnectionError):
                connection.sendall(sent)
        yield connections


def _connected(http: httpx.Client) -> socket.socket:
    return socket.create_connection((http.base_url.host, http.base_url.port or 0), timeout=5)


def _median_seconds(http: httpx.Client) -> float:
    """Of good clients that come anew, each with a connection of its own."""
    seconds = []
    for _ in range(9):
        with httpx.Client(base_url=http.base_url, trust_env=False, verify=False) as client:
            began = time.monotonic()
            assert client.post("/predict", files={"image": png()}).status_code == 200
            seconds.append(time.monotonic() - began)
    return statistics.median(seconds)


def _readable(connection: socket.socket) -> bool:
    return bool(select.select([connection], [], [], 0)[0])


def _is_closed(connection: socket.socket) -> bool:
    try:
        return _readable(connection) and connection.recv(1) == b""
    except ConnectionError:
        return True


def _wait(condition: Callable[[], bool], *, seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False
