"""The service as one FastAPI application: routes, each with a permission, behind one middleware."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bentoml
from fastapi import APIRouter, FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from serving import compat, information, jobs, landing, predictions
from serving.access.permissions import (
    ANYBODY,
    ONLY_ADMINISTRATORS,
    PREDICT,
    Guard,
    GuardedRoute,
)
from serving.context import Problem
from serving.image_request import Backend
from serving.middleware import RequestMiddleware
from serving.openapi import document
from serving.refusals import HANDLERS

API_VERSION = "1"
WEB = Path(__file__).parent / "web"
SWAGGER = Path(bentoml.__file__).parent / "_internal/server/static_content"
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; "
    "frame-ancestors 'none'; form-action 'self'; base-uri 'none'"
)
SWAGGER_POLICY = f"{POLICY}; style-src 'self' 'unsafe-inline'"
"""Swagger writes a style into the page; it gets no more than that."""
CORS_HEADERS = ("X-Request-ID", "Retry-After", "WWW-Authenticate")

pages = APIRouter(route_class=GuardedRoute, include_in_schema=False)
health = APIRouter(route_class=GuardedRoute, default_response_class=Response)
ROUTERS = (
    predictions.router,
    information.router,
    landing.router,
    jobs.router,
    compat.router,
    health,
    pages,
)


def build_app(
    guard: Guard, backend: Backend | None = None, *, routers: Sequence[APIRouter] = ROUTERS
) -> FastAPI:
    """The application.

    Args:
        guard: what permissions are judged by.
        backend: what the routes work with; may be given later (`attach`).
        routers: its routes.

    Raises:
        TypeError: a route has no permission.
    """
    app = FastAPI(
        title="Medloop",
        version=API_VERSION,
        description="Medical-image classification with Grad-CAM explanations. "
        "For research and education; not a medical device.",
        openapi_url=None,  # its route would have no permission; /docs.json has one
        redirect_slashes=False,
        exception_handlers=HANDLERS,  # type: ignore[arg-type]
        generate_unique_id_function=lambda route: re.sub(r"\W+", "_", route.path).strip("_"),
    )
    for router in routers:
        app.include_router(router)
    require_permissions(app)
    app.router.default = _no_route
    if guard.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=guard.origins,
            allow_methods=("GET", "POST"),
            allow_headers=("Authorization", "Content-Type"),
            expose_headers=CORS_HEADERS,
        )
    app.add_middleware(RequestMiddleware, audit=guard.audit, answer_seconds=guard.answer_seconds)
    app.state.guard = guard
    if backend:
        attach(app, backend)
    return app


def attach(app: FastAPI, backend: Backend) -> None:
    """Give the routes what they work with."""
    app.state.backend = backend


def require_permissions(app: FastAPI) -> None:
    """Raises TypeError: a route is not a `GuardedRoute`."""
    for route in app.routes:
        if not isinstance(route, GuardedRoute):
            raise TypeError(f"{route} has no permission; use GuardedRoute.")


async def _no_route(scope: Scope, receive: Receive, send: Send) -> None:
    """Tell nobody but administrators which paths there are."""
    request = Request(scope, receive, send)
    await ONLY_ADMINISTRATORS(request)
    raise Problem(
        404, "not_found", f"There is no {request.url.path} here; /docs lists what there is."
    )


class FromBentoML(Response):
    """The answer of BentoML's own application."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__()
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let it answer."""
        await self._app(scope, receive, send)


async def _from_bentoml(request: Request) -> Response:
    return FromBentoML(request.app.state.bentoml)


for path, text in {
    "/livez": "Whether the process lives.",
    "/readyz": "Whether it takes requests (with or without a champion).",
}.items():
    health.add_api_route(path, _from_bentoml, summary=text, dependencies=[ANYBODY])
pages.add_api_route("/healthz", _from_bentoml, dependencies=[ANYBODY])
pages.add_api_route("/schema.json", _from_bentoml, dependencies=[PREDICT])


@pages.get("/", dependencies=[ANYBODY])
async def page() -> Response:
    """The page."""
    return _html("index.html", POLICY)


@pages.get("/docs", dependencies=[PREDICT])
async def docs() -> Response:
    """Swagger."""
    return _html("docs.html", SWAGGER_POLICY)


@pages.get("/docs.json", dependencies=[PREDICT])
async def openapi(request: Request) -> Response:
    """The OpenAPI document."""
    return JSONResponse(document(request.app))


def _html(name: str, policy: str) -> Response:
    headers = {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
    return FileResponse(WEB / name, headers=headers)


def _files(path: str, folder: Path, permission: Any) -> None:
    files = StaticFiles(directory=folder)

    async def file(request: Request, name: str) -> Response:
        return await files.get_response(name, request.scope)

    pages.add_api_route(f"{path}/{{name:path}}", file, dependencies=[permission])


_files("/web", WEB, ANYBODY)
_files("/static_content", SWAGGER, PREDICT)
