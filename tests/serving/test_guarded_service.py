"""The real service with tokens: every route it has is shut, its own and BentoML's."""

import json
import shutil
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient

from pipelines.access.own import own_token
from pipelines.access.store import add_token, revoke_token, token_file
from pipelines.access.tokens import Role, mint
from pipelines.audit.entries import audit_folder, find_answers, find_refusals
from pipelines.audit.trace import trace
from pipelines.errors import Unavailable
from pipelines.service_client import ServiceClient
from pipelines.settings import Settings
from pipelines.stage import Context
from pipelines.storage import open_store
from tests.serving.bundles import png
from tests.serving.certificates import make_certificate
from tests.serving.permitted import ROLES
from tests.serving.running import free_port, running_service, start, stop, wait_until_ready

OPEN = {"/", "/livez", "/readyz", "/healthz", "/api/health"}
ANSWERS = {path for path, role in ROLES.items() if role is Role.PREDICT}
"""What a token for predictions is for."""
SEEN_SECONDS = 5.0
"""Within this time a change of the tokens is seen."""


@dataclass(frozen=True)
class Guarded:
    """A running service that asks for tokens."""

    http: httpx.Client
    settings: Settings
    headers: dict[Role, dict[str, str]] = field(default_factory=dict)

    def new(self, name: str, role: Role) -> dict[str, str]:
        """The header of a new token."""
        token, text = mint(name, role)
        add_token(self.settings, token)
        return {"Authorization": f"Bearer {text}"}


@pytest.fixture(scope="module")
def guarded(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    home = tmp_path_factory.mktemp("home")
    shutil.copytree(bundle, home / "bundles" / "phantom" / "1-run")
    arguments = ("--bundle", str(bundle), "--workers", "2")
    with running_service(home, *arguments, service_auth="on", service_rate=1000) as http:
        settings = Settings(home=home, store=(home / "store").as_uri())
        service = Guarded(http, settings)
        for role in Role:
            service.headers[role] = service.new(f"a-{role}", role)
        for _ in range(20):  # until both workers have seen them
            until(lambda: http.get("/model", headers=service.headers[Role.ADMIN]), 200)
        yield service


def until(ask: object, status: int) -> None:
    """Ask until the answer has a status."""
    assert callable(ask)
    deadline = time.monotonic() + SEEN_SECONDS
    while ask().status_code != status:
        assert time.monotonic() < deadline, f"no {status} within {SEEN_SECONDS} s"
        time.sleep(0.05)


def every_path() -> set[str]:
    """Every path of our application and of BentoML's, which is behind it."""
    from serving.service import MedloopService
    from serving.worker import app

    behind = MedloopService.to_asgi(is_main=True)  # type: ignore[attr-defined]
    paths = {getattr(route, "path", "") or "/" for route in behind.routes}
    ours = {route.path.replace("{name:path}", "x") for route in app.routes}  # type: ignore[attr-defined]
    return paths | ours


def test_the_routes_are_found() -> None:
    found = every_path()
    assert {"/predict", "/model", "/metrics", "/schema.json", "/livez", "/", "/web/x"} <= found


def test_started_by_bentoml_alone_it_is_shut() -> None:
    """``bentoml serve`` does not look at who can reach it, so tokens are asked for."""
    from serving.service import MedloopService

    client = TestClient(MedloopService.to_asgi(is_main=True))  # type: ignore[attr-defined]
    assert client.get("/model").status_code == 401


def test_nothing_of_bentoml_answers_around_the_gate() -> None:
    """Its routes refuse in our shape, and nothing outside the gate answers anything."""
    from serving.service import Front, MedloopService
    from serving.worker import guard

    app = MedloopService.to_asgi(is_main=True)  # type: ignore[attr-defined]
    client = TestClient(app)
    reply = client.post("/livez")
    assert (reply.status_code, reply.headers["Allow"]) == (405, "GET")
    assert reply.json()["request_id"] == reply.headers["X-Request-ID"]
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    around = list(takewhile(lambda m: m.cls is not Front, app.user_middleware))
    assert {m.cls.__name__ for m in around} == {"OpenTelemetryMiddleware", "TimeoutMiddleware"}
    (limit,) = (m.kwargs["timeout"] for m in around if m.cls.__name__ == "TimeoutMiddleware")
    assert limit > guard.answer_seconds, "its 504 is not ours, so ours comes first"


def test_a_refusal_leaves_a_line_with_its_reason_and_no_scanned_path(guarded: Guarded) -> None:
    """Before the next test, which is refused so often that not every refusal has its line."""
    reply = until_let(guarded.http, "GET", "/patients/DOE^JOHN")
    (line,) = lines_of(find_refusals, guarded, reply.headers["X-Request-ID"])
    assert (line["status"], line["code"], line["path"]) == (401, "token_needed", "other")
    assert line["address"] == "127.0.0.1"
    assert line["token"] is None


def test_every_route_but_health_and_the_page_is_shut(guarded: Guarded) -> None:
    http, headers = guarded.http, guarded.headers
    for path in sorted(every_path()):
        if path in OPEN or path.startswith("/web/"):
            assert http.get(path).status_code in (200, 404), path
            continue
        for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS"):
            reply = until_let(http, method, path)
            assert reply.status_code == 401, (method, path)
            assert reply.headers["WWW-Authenticate"].startswith("Bearer"), (method, path)
        lands = http.get(path, headers=headers[Role.UPLOAD]).status_code != 403
        assert lands is path.startswith("/landing"), path
        answers = path in ANSWERS or path.startswith("/static_content/")
        allowed = http.get(path, headers=headers[Role.PREDICT]).status_code != 403
        assert allowed is answers, path
        measured = http.get(path, headers=headers[Role.METRICS]).status_code != 403
        assert measured is (path == "/metrics"), path
        assert http.get(path, headers=headers[Role.ADMIN]).status_code not in (401, 403), path


def until_let(http: httpx.Client, method: str, path: str) -> httpx.Response:
    """Ask without a token, patiently: who is refused that often must wait."""
    while (reply := http.request(method, path)).status_code == 429:
        time.sleep(0.2)
    return reply


def test_a_revoked_token_is_refused_by_all_workers_within_seconds(guarded: Guarded) -> None:
    header = guarded.new("leaver", Role.PREDICT)
    url = str(guarded.http.base_url)

    def statuses() -> set[int]:
        """Of new connections, so that both workers are asked."""
        with httpx.Client(base_url=url, trust_env=False, headers={"Connection": "close"}) as http:
            return {http.get("/model", headers=header).status_code for _ in range(20)}

    time.sleep(1.1)
    assert statuses() == {200}
    revoke_token(guarded.settings, "leaver")
    time.sleep(1.1)
    assert statuses() <= {401, 429}


def test_a_vanished_token_file_shuts_it_until_it_is_back(guarded: Guarded) -> None:
    path, header = token_file(guarded.settings), guarded.headers[Role.PREDICT]
    aside = path.rename(path.with_name("aside"))
    until(lambda: guarded.http.get("/model", headers=header), 503)
    assert guarded.http.get("/livez").status_code == 200
    aside.rename(path)
    until(lambda: guarded.http.get("/model", headers=header), 200)


def test_the_installation_s_own_commands_get_in(guarded: Guarded) -> None:
    port = guarded.http.base_url.port
    assert port is not None
    own = guarded.settings.model_copy(update={"service_port": port})
    assert ServiceClient(own).versions() == {"phantom": 1}


def lines_of(find: object, guarded: Guarded, request_id: str) -> list[dict[str, object]]:
    """Lines of the audit log, once they are written."""
    assert callable(find)
    deadline = time.monotonic() + SEEN_SECONDS
    while not (found := find(audit_folder(guarded.settings), request_id)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return [json.loads(entry.model_dump_json(by_alias=True)) for entry in found]


def test_an_answer_leaves_a_line_without_anything_of_the_patient(guarded: Guarded) -> None:
    image = png(3)
    answer = guarded.http.post(
        "/predict?dataset=phantom",
        files={"image": ("DOE^JOHN-1950.png", image)},
        headers=guarded.headers[Role.PREDICT],
    ).json()
    (line,) = lines_of(find_answers, guarded, answer["request_id"])
    assert line["token"] == "a-predict"
    assert line["path"] == "/predict"
    assert line["dataset"] == "phantom"
    assert line["model_version"] == 1
    assert line["run_id"] == "run"
    assert line["class"] == answer["class"]
    assert line["abstained"] == answer["abstained"]
    assert line["confidence"] == pytest.approx(answer["confidence"], abs=1e-6)
    assert isinstance(line["milliseconds"], float)
    files = [p for p in audit_folder(guarded.settings).iterdir() if p.is_file()]
    for file in files:
        assert "DOE" not in file.read_text("utf-8")
        assert file.stat().st_mode & 0o077 == 0


def test_an_answer_s_id_leads_back_to_its_model(guarded: Guarded) -> None:
    header = guarded.headers[Role.PREDICT]
    answer = guarded.http.post("/explain", files={"image": png(4)}, headers=header)
    request_id = answer.headers["X-Request-ID"]
    lines_of(find_answers, guarded, request_id)
    settings = guarded.settings
    found = trace(Context(settings=settings, store=open_store(settings)), request_id)
    assert found.answers[0].token == "a-predict"
    assert found.origin is not None
    assert (found.origin.run_id, found.origin.snapshot) == ("run", "phantom/snapshots/0001-aa")


def test_each_image_of_a_batch_leaves_a_line(guarded: Guarded) -> None:
    files = [("image", png(1)), ("image", b"no image"), ("image", png(2))]
    reply = guarded.http.post("/predict/batch", files=files, headers=guarded.headers[Role.ADMIN])
    request_id = reply.json()["request_id"]
    assert len(lines_of(find_answers, guarded, request_id)) == 2
    (refused,) = lines_of(find_refusals, guarded, request_id)
    assert (refused["code"], refused["token"]) == ("unknown_format", "a-admin")


@pytest.fixture(scope="module")
def limited(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A service that speaks TLS and lets each token ask once a second, after five times."""
    home = tmp_path_factory.mktemp("limited")
    made, port = make_certificate(home), free_port()
    settings = Settings(
        home=home,
        service_port=port,
        service_tls_cert=made.cert,
        service_tls_key=made.key,
        service_ca=made.cert,
    )
    # Made before it starts, so that no test has to wait until it has read them.
    own_token(settings)
    token, text = mint("eager", Role.PREDICT)
    add_token(settings, token)
    process = start(
        home,
        *("--port", str(port), "--bundle", str(bundle)),
        service_tls_cert=made.cert,
        service_tls_key=made.key,
        service_auth="on",
        service_rate=1,
        service_burst=5,
    )
    trusted = ssl.create_default_context(cafile=made.cert)
    try:
        url = f"https://127.0.0.1:{port}"
        with httpx.Client(base_url=url, verify=trusted, trust_env=False) as http:
            wait_until_ready(http, process, home)
            header = {"Authorization": f"Bearer {text}"}
            yield Guarded(http, settings, {Role.PREDICT: header})
    finally:
        stop(process)


def test_a_token_that_asks_too_often_waits_as_told_and_goes_on(limited: Guarded) -> None:
    header = limited.headers[Role.PREDICT]
    asked = [limited.http.get("/classes", headers=header) for _ in range(12)]
    assert [reply.status_code for reply in asked[:5]] == [200] * 5
    held = next(reply for reply in asked if reply.status_code == 429)
    time.sleep(int(held.headers["Retry-After"]))
    assert limited.http.get("/classes", headers=header).status_code == 200


def test_it_speaks_tls_and_nothing_else_on_that_port(limited: Guarded) -> None:
    http, settings = limited.http, limited.settings
    assert "max-age" in http.get("/").headers["Strict-Transport-Security"]
    assert ServiceClient(settings).versions() == {"phantom": 1}
    with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
        ServiceClient(settings.model_copy(update={"service_ca": None})).versions()
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{settings.service_port}/livez", trust_env=False)
