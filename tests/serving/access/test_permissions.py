"""The gate, in this process, around the service's routes."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from pipelines.access.store import add_token
from pipelines.access.tokens import Role, mint
from pipelines.audit.entries import audit_folder
from pipelines.release.predictor import Predictor
from pipelines.settings import Settings
from serving.access.permissions import Guard, Rates, guard_of
from serving.app import build_app
from serving.image_request import Backend
from tests.serving.bundles import png

ORIGIN = "https://viewer.example"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, service_rate=5, service_burst=20, service_cors_origins=ORIGIN)


@pytest.fixture
def tokens(settings: Settings) -> dict[str, dict[str, str]]:
    """Role → the header of a token of that role."""
    headers = {}
    for role in Role:
        token, text = mint(f"a-{role}", role)
        add_token(settings, token)
        headers[str(role)] = {"Authorization": f"Bearer {text}"}
    return headers


@pytest.fixture
def guard(settings: Settings, tokens: dict[str, dict[str, str]]) -> Guard:
    assert tokens
    return guard_of(settings, tokens=True)


@pytest.fixture
def backend(backend: Backend, predictor: Predictor) -> Backend:
    """With a champion."""
    backend.champions.take(predictor)
    return backend


@pytest.fixture
def guarded(backend: Backend, guard: Guard) -> TestClient:
    return TestClient(build_app(guard, backend), raise_server_exceptions=False)


@pytest.fixture
def unguarded(client: TestClient) -> TestClient:
    """As it is on loopback, where no tokens are asked for."""
    return client


def test_a_refusal_has_the_shape_of_all_and_says_what_to_do(guarded: TestClient) -> None:
    reply = guarded.post("/predict", files={"image": png()})
    body = reply.json()
    assert reply.status_code == 401
    assert reply.headers["WWW-Authenticate"] == 'Bearer realm="medloop"'
    assert body["error"]["code"] == "token_needed"
    assert "Authorization: Bearer" in body["error"]["message"]
    assert body["request_id"] == reply.headers["X-Request-ID"]


@pytest.mark.parametrize(
    ("role", "path", "status"),
    [
        ("predict", "/model", 200),
        ("upload", "/model", 403),
        ("admin", "/model", 200),
        ("predict", "/landing", 403),
        ("upload", "/landing", 200),
        ("upload", "/landing/phantom", 405),
        ("predict", "/landing/phantom", 403),
        ("metrics", "/landing", 403),
        ("predict", "/metrics", 403),
        ("upload", "/metrics", 403),
        ("metrics", "/metrics", 200),
        ("metrics", "/model", 403),
        ("metrics", "/schema.json", 403),
        ("metrics", "/docs.json", 403),
        ("admin", "/metrics", 200),
        ("predict", "/no/such/route", 403),
        ("admin", "/no/such/route", 404),
    ],
)
def test_a_role_may_what_it_is_for(
    role: str, path: str, status: int, guarded: TestClient, tokens: dict[str, dict[str, str]]
) -> None:
    reply = guarded.get(path, headers=tokens[role])
    assert reply.status_code == status
    if status == 403:
        assert 'error="insufficient_scope"' in reply.headers["WWW-Authenticate"]
        assert role in reply.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/web/../model", "/web/%2e%2e/model", "/.//model", "/model/"])
def test_no_spelling_of_a_path_gets_around_it(path: str, guarded: TestClient) -> None:
    reply = guarded.get(path, follow_redirects=False)
    assert reply.status_code in (401, 404)
    assert "models" not in reply.text


def test_the_host_header_does_not_choose_the_path(guarded: TestClient) -> None:
    reply = guarded.get("/model", headers={"Host": "localhost/livez?"})
    assert reply.status_code == 401


def test_the_page_is_there_to_ask_for_the_token(guarded: TestClient) -> None:
    page = guarded.get("/")
    assert page.status_code == 200
    for path in re.findall(r'(?:src|href)="(/web/[^"]+)"', page.text):
        assert guarded.get(path).status_code == 200, path


def test_a_token_that_asks_too_often_waits_and_then_goes_on(
    backend: Backend, guard: Guard, tokens: dict[str, dict[str, str]]
) -> None:
    now = [0.0]
    limited = replace(guard, rates=Rates(2, 3, clock=lambda: now[0]))
    client = TestClient(build_app(limited, backend))
    asked = [client.get("/classes", headers=tokens["predict"]) for _ in range(4)]
    assert [reply.status_code for reply in asked] == [200, 200, 200, 429]
    assert asked[-1].json()["error"]["code"] == "too_many_requests"
    assert client.get("/classes", headers=tokens["admin"]).status_code == 200
    now[0] += int(asked[-1].headers["Retry-After"])
    assert client.get("/classes", headers=tokens["predict"]).status_code == 200


def test_guessing_tokens_is_cut_off_and_good_ones_still_pass(
    guarded: TestClient, tokens: dict[str, dict[str, str]]
) -> None:
    said = {guarded.get("/model", headers=tokens_guess()).status_code for _ in range(60)}
    assert said == {401, 429}
    assert guarded.get("/model", headers=tokens["predict"]).status_code == 200


def test_strangers_fill_no_log_and_displace_no_line_of_those_with_a_token(
    backend: Backend, settings: Settings, tokens: dict[str, dict[str, str]]
) -> None:
    """Whatever they ask for, paths that need no token included, from however many addresses."""
    guard = guard_of(settings.model_copy(update={"service_rate": 1e6}), tokens=True)
    guard.audit.start()
    client = TestClient(build_app(guard, backend), raise_server_exceptions=False)
    client.get("/no/such", headers=tokens["admin"])
    for n in range(300):
        stranger = TestClient(client.app, client=(f"2001:db8:{n:x}::1", 1))
        assert stranger.get(f"/{n}").status_code == 401
        assert stranger.get(f"/web/{n}").status_code == 404
    for _ in range(250):
        client.get("/classes", headers=tokens["predict"])
    guard.audit.stop()
    folder = audit_folder(settings)
    ours, theirs = (
        [json.loads(line) for line in (folder / name).read_text().splitlines()]
        for name in ("refusals.jsonl", "unauthenticated.jsonl")
    )
    assert {line["token"] for line in theirs} == {None}
    assert sum(line["count"] for line in theirs) == 600
    assert len(theirs) < 100
    assert (ours[0]["status"], ours[0]["token"]) == (404, "a-admin")
    assert len(ours) <= 2, "a client that asks too often has one line a minute"


def test_one_subscriber_s_addresses_share_one_bucket(guarded: TestClient) -> None:
    """An IPv6 subscriber has 2**64 addresses: a bucket for each would hold nobody."""
    said = (
        TestClient(guarded.app, client=(f"2001:db8::{n:x}", 1)).get("/model").status_code
        for n in range(2000)  # the bucket fills up again while a slow machine asks
    )
    assert 429 in said
    assert TestClient(guarded.app, client=("2001:db8:0:1::1", 1)).get("/model").status_code == 401


def tokens_guess() -> dict[str, str]:
    return {"Authorization": f"Bearer {mint('guess', Role.ADMIN)[1]}"}


def test_pages_of_allowed_origins_may_ask_with_a_token_and_no_others(
    guarded: TestClient, tokens: dict[str, dict[str, str]]
) -> None:
    wish = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    allowed = guarded.options("/predict", headers={"Origin": ORIGIN, **wish})
    assert allowed.status_code == 200
    assert allowed.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "Authorization" in allowed.headers["Access-Control-Allow-Headers"]
    answer = guarded.get("/model", headers={"Origin": ORIGIN, **tokens["predict"]})
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    refused = guarded.get("/model", headers={"Origin": ORIGIN})
    assert refused.status_code == 401
    assert refused.headers["Access-Control-Allow-Origin"] == ORIGIN, "the page must hear why"
    for stranger in ("https://evil.example", "null", f"{ORIGIN}.evil.example"):
        other = guarded.options("/predict", headers={"Origin": stranger, **wish})
        assert other.status_code == 400
        assert "Access-Control-Allow-Origin" not in other.headers


def test_without_an_allow_list_no_page_from_elsewhere_is_allowed(unguarded: TestClient) -> None:
    reply = unguarded.get("/model", headers={"Origin": ORIGIN})
    assert reply.status_code == 403
    assert "access-control-allow-origin" not in reply.headers


def test_on_loopback_it_answers_without_a_token_but_to_no_foreign_name(
    unguarded: TestClient,
) -> None:
    assert unguarded.post("/predict", files={"image": png()}).status_code == 200
    rebound = unguarded.post("/predict", files={"image": png()}, headers={"Host": "evil.example"})
    assert rebound.status_code == 403
    assert rebound.json()["error"]["code"] == "foreign_host"


@pytest.mark.parametrize("path", ["/", "/web/page.js", "/model", "/nothing"])
def test_every_answer_tells_browsers_to_keep_out(path: str, unguarded: TestClient) -> None:
    headers = unguarded.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "camera=()" in headers["Permissions-Policy"]
    assert "Strict-Transport-Security" not in headers, "only TLS may promise TLS"


def test_answers_with_pictures_stay_in_no_cache(unguarded: TestClient) -> None:
    for path in ("/predict", "/gradcam", "/explain"):
        answer = unguarded.post(path, files={"image": png()})
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "no-store"


def test_over_tls_browsers_are_told_to_stay_with_it(guarded: TestClient) -> None:
    secure = TestClient(guarded.app, base_url="https://testserver")
    assert "max-age" in secure.get("/").headers["Strict-Transport-Security"]


def test_a_websocket_is_turned_away(guarded: TestClient) -> None:
    from starlette.websockets import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect), guarded.websocket_connect("/predict"):
        pass
