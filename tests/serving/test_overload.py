"""More is asked than can be done: the rest is refused at once, and all is well right after."""

import re
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.serving.bundles import jpeg, png
from tests.serving.running import running_service

LARGE = jpeg(1, width=1900, height=1900)
WAIT_SECONDS = 1
CLIENTS = 80
BLOCKING = 8


@pytest.fixture(scope="module")
def http(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    home = tmp_path_factory.mktemp("home")
    settings = {"service_wait_seconds": WAIT_SECONDS}
    with running_service(home, "--bundle", str(bundle), **settings) as client:
        yield client


def test_what_is_too_much_is_told_to_come_again_and_the_rest_is_answered(
    http: httpx.Client,
) -> None:
    def ask(_: int) -> httpx.Response:
        # verify: or each client would read all the certificates of this machine's trust store
        return httpx.post(
            f"{http.base_url}/predict",
            files={"image": LARGE},
            timeout=60,
            trust_env=False,
            verify=False,
        )

    with ThreadPoolExecutor(CLIENTS) as threads:
        asking = threads.map(ask, range(2 * CLIENTS))
        time.sleep(0.3)
        began = time.monotonic()
        assert http.get("/livez").status_code == 200
        assert time.monotonic() - began < 2
        replies = list(asking)
    found = Counter(reply.status_code for reply in replies)
    assert set(found) == {200, 503}, found
    refused = [reply for reply in replies if reply.status_code == 503]
    assert {reply.json()["error"]["code"] for reply in refused} == {"overloaded"}
    assert all(int(reply.headers["Retry-After"]) >= 1 for reply in refused)
    assert http.post("/predict", files={"image": png()}).status_code == 200
    metrics = http.get("/metrics").text
    assert f'medloop_refused_total{{code="overloaded"}} {len(refused)}.0' in metrics
    assert re.search(r"^medloop_waiting_images 0\.0$", metrics, re.M)


def test_no_work_is_done_for_clients_that_left_while_they_waited(http: httpx.Client) -> None:
    before = _answered(http)
    with ThreadPoolExecutor(1) as threads:
        blocking = threads.submit(http.post, "/predict/batch", files=[("image", LARGE)] * BLOCKING)
        while not _figures(http, "medloop_waiting_images"):
            assert not blocking.done()
        impatient = [_send(http, png()) for _ in range(5)]
        time.sleep(0.1)
        assert not blocking.done()
        for connection in impatient:
            connection.close()
        assert blocking.result().status_code == 200
    assert http.post("/predict", files={"image": png()}).status_code == 200
    assert _answered(http) - before == BLOCKING + 1


def _send(http: httpx.Client, image: bytes) -> socket.socket:
    """A connection on which an image was sent and no answer read."""
    connection = socket.create_connection((http.base_url.host, http.base_url.port or 0))
    connection.sendall(
        b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"
        b"Content-Length: %d\r\n\r\n" % len(image) + image
    )
    return connection


def _answered(http: httpx.Client) -> float:
    return _figures(http, "medloop_predictions_total")


def _figures(http: httpx.Client, name: str) -> float:
    """The sum of a metric over its labels."""
    found = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", http.get("/metrics").text, re.M)
    return sum(map(float, found))
