"""The deprecated second port of the real service, for legacy clients, with two workers."""

import http.client
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from pipelines.access.store import add_token
from pipelines.access.tokens import Role, mint
from pipelines.ports import is_free
from pipelines.settings import Settings
from tests.serving.bundles import png
from tests.serving.running import free_port, start, stop, wait_until_ready


@dataclass(frozen=True)
class Addresses:
    """A running service at its two addresses."""

    main: httpx.Client
    legacy: httpx.Client
    process: subprocess.Popen[bytes]


@pytest.fixture(scope="module")
def service(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    home = tmp_path_factory.mktemp("home")
    token, text = mint("viewer", Role.ADMIN)
    add_token(Settings(home=home), token)
    ports = free_port(), free_port()
    process = start(
        home,
        *("--port", str(ports[0]), "--workers", "2", "--bundle", str(bundle)),
        classic_port=ports[1],
        service_auth="on",
    )
    main, legacy = (
        httpx.Client(
            base_url=f"http://127.0.0.1:{port}",
            headers={"Authorization": f"Bearer {text}"},
            timeout=30,
            trust_env=False,
        )
        for port in ports
    )
    try:
        with main, legacy:
            wait_until_ready(main, process, home)
            yield Addresses(main, legacy, process)
    finally:
        stop(process)


def test_it_answers_clients_of_the_legacy_api(service: Addresses) -> None:
    reply = service.legacy.post("/api/classify", files={"file": png()})
    assert reply.json()["status"] == "success"
    assert service.legacy.get("/api/health").json()["model_loaded"] is True


def test_both_addresses_answer_the_same(service: Addresses) -> None:
    bodies = [
        http.post("/api/classify", files={"file": png(2)}).json()
        for http in (service.main, service.legacy)
    ]
    for body in bodies:
        del body["processing_time"]
    assert bodies[0] == bodies[1]


@pytest.mark.parametrize("path", ["/", "/predict", "/model", "/metrics", "/livez", "/docs.json"])
def test_it_answers_nothing_else(service: Addresses, path: str) -> None:
    assert service.legacy.get(path).status_code == 404
    assert service.legacy.post(path).status_code == 404


def test_it_is_behind_the_same_gate(service: Addresses) -> None:
    with httpx.Client(base_url=service.legacy.base_url, trust_env=False) as stranger:
        reply = stranger.post("/api/classify", files={"file": png()})
        health = stranger.get("/api/health")
    assert reply.status_code == 401
    assert set(reply.json()) == {"status", "message"}
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert health.status_code == 200


def test_what_it_answers_is_counted(service: Addresses) -> None:
    service.legacy.post("/api/classify", files={"file": png()})
    with httpx.Client(base_url=service.legacy.base_url, trust_env=False) as stranger:
        stranger.post("/api/classify", files={"file": png()})
    text = service.main.get("/metrics").text
    for outcome in ("ok", "refused"):
        counted = f'medloop_requests_total{{outcome="{outcome}",route="/api/classify"}}'
        assert counted in text


def test_what_is_in_flight_when_the_service_ends_is_still_answered(service: Addresses) -> None:
    url = service.legacy.base_url
    connection = http.client.HTTPConnection(url.host, url.port, timeout=20)
    connection.putrequest("POST", "/api/classify")
    connection.putheader("Authorization", service.legacy.headers["Authorization"])
    connection.putheader("Content-Type", "image/png")
    connection.putheader("Content-Length", str(len(png())))
    connection.endheaders(png()[:100])
    time.sleep(0.2)
    service.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    connection.send(png()[100:])
    assert connection.getresponse().status == 200
    service.process.wait(20)
    assert is_free("127.0.0.1", url.port or 0)
