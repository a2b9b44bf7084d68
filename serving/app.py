"""The routes of the service as one ASGI application, which BentoML mounts.

Plain routes rather than BentoML APIs: half the overhead, and full say over what a bad body is
answered with.
"""

from dataclasses import dataclass
from pathlib import Path

import bentoml
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipelines.errors import BadImage
from serving.counting import count_once
from serving.endpoints import Backend
from serving.exposition import metrics
from serving.marks import mark
from serving.openapi import ENDPOINTS, document
from serving.problems import Problem
from serving.refusals import reply_crash, reply_http, reply_problem

WEB = Path(__file__).parent / "web"
SWAGGER = Path(bentoml.__file__).parent / "_internal/server/static_content"
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; "
    "frame-ancestors 'none'; form-action 'self'; base-uri 'none'"
)
SWAGGER_POLICY = f"{POLICY}; style-src 'self' 'unsafe-inline'"
"""Swagger writes a style into the page; it gets no more than that."""


def build_app(backend: Backend | None = None) -> "App":
    """The service's routes; without a backend until `App.attach` gives it one."""
    routes: list[BaseRoute] = [
        Route(endpoint.path, endpoint.handler, methods=[endpoint.method]) for endpoint in ENDPOINTS
    ]
    routes += [
        Route("/", _page("index.html", POLICY)),
        Route("/metrics", metrics),
        Route("/docs", _page("docs.html", SWAGGER_POLICY)),
        Route("/docs.json", lambda _: JSONResponse(document())),
        Mount("/web", StaticFiles(directory=WEB)),
        Mount("/static_content", StaticFiles(directory=SWAGGER)),
    ]
    handlers = {
        Problem: reply_problem,
        BadImage: reply_problem,
        HTTPException: reply_http,
        Exception: reply_crash,
    }
    app = App(Starlette(routes=routes, exception_handlers=handlers))
    if backend:
        app.attach(backend)
    return app


@dataclass(frozen=True)
class App:
    """The application; counts each request by route and outcome."""

    inner: Starlette

    def attach(self, backend: Backend) -> None:
        """Give the routes what they work with."""
        self.inner.state.backend = backend

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.inner(scope, receive, send)
            return
        request_id = mark(scope)

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                count_once(scope, message["status"])
            await send(message)

        try:
            await self.inner(scope, receive, send_marked)
        finally:
            if held := scope["state"].get("held"):
                held.release()


def _page(name: str, policy: str) -> ASGIApp:
    headers = {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }

    async def page(_: Request) -> Response:
        return FileResponse(WEB / name, headers=headers)

    return page  # type: ignore[return-value]
