"""What surrounds every answer, whoever gives it."""

import asyncio
import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipelines.audit.entries import UNAUTHENTICATED, audit_folder
from pipelines.release.predictor import Predictor
from pipelines.release.runtime import Outputs
from pipelines.settings import Settings
from serving.access.permissions import Guard, guard_of
from serving.app import build_app
from serving.champions import Champions
from serving.executor import InferenceExecutor
from serving.image_request import Backend
from serving.uploads import Limits
from tests.serving.bundles import png

ORIGIN = "https://viewer.example"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, service_cors_origins=ORIGIN)


@pytest.fixture
def guard(settings: Settings) -> Iterator[Guard]:
    """Asks for no tokens; its audit log is being written."""
    guard = guard_of(settings, tokens=False)
    guard.audit.start()
    yield guard
    guard.audit.stop()


def lines(guard: Guard, settings: Settings, name: str) -> list[dict[str, Any]]:
    """A file of the audit log, once it is written."""
    guard.audit.stop()
    path = audit_folder(settings) / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def around(app: ASGIApp, guard: Guard) -> ASGIApp:
    """Our application, with another in BentoML's place."""
    ours = build_app(guard)
    ours.state.bentoml = app
    return ours


def is_ours(reply: Any) -> None:
    """Whether a refusal is like every other."""
    body = reply.json()
    assert set(body) == {"error", "request_id"}
    assert body["request_id"] == reply.headers["X-Request-ID"]
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("status", "code"), [(400, "bad_request"), (405, "method_not_allowed"), (500, "internal")]
)
def test_a_refusal_by_somebody_else_is_said_in_our_words(
    guard: Guard, settings: Settings, status: int, code: str
) -> None:
    foreign = PlainTextResponse("Nope", status, headers={"Allow": "GET", "X-Theirs": "1"})
    reply = TestClient(around(foreign, guard), base_url="http://127.0.0.1").get("/livez")
    is_ours(reply)
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
    assert reply.headers["Allow"] == "GET"
    assert "X-Theirs" not in reply.headers
    (line,) = lines(guard, settings, UNAUTHENTICATED)
    assert (line["status"], line["code"], line["path"]) == (status, code, "/livez")


def test_a_crash_outside_the_routes_is_answered_and_logged(
    guard: Guard, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("a secret of the machine")

    reply = TestClient(around(broken, guard)).get("/livez")
    is_ours(reply)
    assert reply.status_code == 500
    assert "secret" not in reply.text
    assert reply.json()["request_id"] in caplog.text


def test_a_mistake_in_a_route_is_readable_for_pages_of_allowed_origins(guard: Guard) -> None:
    client = TestClient(build_app(guard), base_url="http://127.0.0.1")  # has nothing to work with
    reply = client.get("/model", headers={"Origin": ORIGIN})
    is_ours(reply)
    assert (reply.status_code, reply.json()["error"]["code"]) == (500, "internal")
    assert reply.headers["Access-Control-Allow-Origin"] == ORIGIN


def test_half_an_answer_is_not_passed_off_as_whole(guard: Guard) -> None:
    async def broken(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError

    with pytest.raises(RuntimeError):
        TestClient(around(broken, guard)).get("/livez")


def test_a_preflight_from_elsewhere_is_refused_in_the_same_shape(
    guard: Guard, settings: Settings
) -> None:
    client = TestClient(build_app(guard), base_url="http://127.0.0.1")
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    reply = client.options("/predict", headers=asked)
    assert reply.status_code == 400
    is_ours(reply)
    assert len(lines(guard, settings, UNAUTHENTICATED)) == 1
    good = client.options("/predict", headers={**asked, "Origin": ORIGIN})
    assert (good.status_code, "X-Request-ID" in good.headers) == (200, True)


def test_an_answer_that_takes_too_long_is_504_and_frees_nothing_before_the_work_has_ended(
    guard: Guard, settings: Settings, predictor: Predictor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    go, at_work = threading.Event(), threading.Event()

    class Slow:
        def run(self, images: Any) -> Outputs:
            at_work.set()
            go.wait(10)
            return predictor.runtime.run(images)

    champions = Champions()
    champions.take(replace(predictor, runtime=Slow()))
    answered: list[object] = []
    executor, limits = InferenceExecutor(1), Limits()
    backend = Backend(champions, executor, limits, observers=(answered.append,))
    app = build_app(replace(guard, answer_seconds=0.3), backend)

    async def scene() -> None:
        body = png()
        slow = Asked(app, body)
        await slow.has_answer.wait()
        assert slow.status == 504
        assert at_work.is_set()
        assert not slow.task.done()
        assert limits.budget.taken == len(body), "the thread still holds the image"
        queued = asyncio.create_task(executor.run(lambda: "next"))
        done, _ = await asyncio.wait([queued], timeout=0.2)
        assert not done, "the thread's place was given away"
        go.set()
        await asyncio.gather(slow.task, queued)
        assert limits.budget.taken == 0
        assert slow.reply["error"]["code"] == "timed_out"
        assert slow.reply["request_id"] == slow.headers["x-request-id"]
        assert slow.headers["x-content-type-options"] == "nosniff"

    asyncio.run(scene())
    executor.close()
    assert answered == [], "an answer that nobody got is none"
    noted = [(line["status"], line["code"]) for line in lines(guard, settings, "refusals.jsonl")]
    assert noted == [(504, "timed_out")]
    assert not caplog.records


@pytest.mark.parametrize("path", ["/predict", "/gradcam", "/predict/batch", "/api/classify"])
def test_a_refusal_names_the_model_that_was_to_answer(
    guard: Guard, settings: Settings, predictor: Predictor, backend: Backend, path: str
) -> None:
    class Broken:
        def run(self, images: Any) -> Outputs:
            raise RuntimeError(len(images))

    backend.champions.take(replace(predictor, runtime=Broken()))
    client = TestClient(build_app(guard, backend), base_url="http://127.0.0.1")
    for body, dataset in ((png(), "phantom"), (b"no image", "phantom"), (png(), "elsewhere")):
        client.post(path, files={"image": body}, data={"dataset": dataset})

    failed, refused, unknown = lines(guard, settings, "refusals.jsonl")
    for line in (failed, refused):
        assert (line["dataset"], line["model_version"]) == ("phantom", 1)
    assert failed["status"] == 500 or failed["code"] == "unexpected_error"
    assert refused["code"] == "unknown_format"
    assert (unknown["code"], unknown["dataset"]) == ("unknown_dataset", None)


class Asked:
    """A request to ``/predict`` whose messages are caught as a server would send them."""

    def __init__(self, app: ASGIApp, body: bytes) -> None:
        self.has_answer = asyncio.Event()
        self.status = 0
        self.headers: dict[str, str] = {}
        self.reply: dict[str, Any] = {}
        self._body: bytes | None = body
        scope: Scope = {
            "type": "http",
            "method": "POST",
            "path": "/predict",
            "query_string": b"",
            "headers": [(b"host", b"127.0.0.1"), (b"content-type", b"image/png")],
            "server": ("127.0.0.1", 3000),
            "client": ("127.0.0.1", 5000),
            "scheme": "http",
        }
        self.task = asyncio.create_task(self._ask(app, scope))

    async def _ask(self, app: ASGIApp, scope: Scope) -> None:
        await app(scope, self._receive, self._send)

    async def _receive(self) -> Message:
        if self._body is None:
            return {"type": "http.disconnect"}
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            assert not self.status, "one answer only"
            self.status = message["status"]
            self.headers = {k.decode(): v.decode() for k, v in message["headers"]}
        else:
            self.reply = json.loads(message["body"])
            self.has_answer.set()
