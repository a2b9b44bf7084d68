"""What the service says when it cannot answer: an HTTP status, a stable code, a sentence; and the
headers that keep browsers out of whatever it says.

Every refusal has one shape, ``{"error": {"code", "message"}, "request_id"}``, and on ``/api/…``
the one that classic clients read. What a client sends is never answered with a 5xx; only a missing
champion is (503), because it is not the client's fault.
"""

import logging
from collections.abc import Callable

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Scope

from pipelines.errors import BadImage
from serving.context import Problem, context_of
from serving.metrics import count_refusal
from serving.schemas import ClassicError, ErrorDetail, ErrorReply, Wire

logger = logging.getLogger(__name__)

STATUS_OF_IMAGE_REASON = {
    "unknown_format": 415,
    "unsupported": 415,
    "no_pixels": 415,
    "too_large": 413,
}
"""The HTTP status of a `BadImage.reason`; every other reason is 422."""
CLASSIC = "/api/"
"""Below this, clients expect the classic API."""
HEADERS_OF_STATUS = {
    408: {"Connection": "close"},
    413: {"Connection": "close"},
    503: {"Retry-After": "5"},
}
SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
"""For every answer that does not say otherwise itself: pictures of patients stay in no cache."""
HSTS = "max-age=31536000"


def secure(start: Message, scope: Scope, *, request_id: str) -> None:
    """Add the headers of security, and the request's id, to an answer that is about to begin.

    Args:
        start: its ``http.response.start``.
        scope: of the request.
        request_id: see `serving.context`.
    """
    headers = [pair for pair in start["headers"] if pair[0] != b"x-request-id"]
    given = {name for name, _ in headers}
    wanted = security_headers(scope.get("scheme", "http"))
    if scope["path"].startswith("/web/") and b"etag" in given:
        headers.append((b"cache-control", b"no-cache"))  # kept, but asked after each time
        given.add(b"cache-control")
    headers += [pair for pair in wanted if pair[0] not in given]
    headers.append((b"x-request-id", request_id.encode()))
    start["headers"] = headers


def security_headers(scheme: str) -> list[tuple[bytes, bytes]]:
    """Names and values of the headers of security over ``http`` or ``https``."""
    return _WITH_TLS if scheme == "https" else _PLAIN


# as ASGI wants them, encoded once: this happens on every answer
_PLAIN = [(name.lower().encode(), value.encode()) for name, value in SECURITY.items()]
_WITH_TLS = [*_PLAIN, (b"strict-transport-security", HSTS.encode())]


def reply_problem(request: Request, error: Exception) -> Response:
    """The answer to a request that a `Problem` or a `BadImage` ended."""
    if isinstance(error, BadImage):
        return refusal(request, status_of(error), code=error.reason, message=str(error))
    assert isinstance(error, Problem)
    reply = refusal(request, error.status, code=error.code, message=str(error))
    reply.headers.update(error.headers)
    return reply


def status_of(error: Problem | BadImage) -> int:
    """The HTTP status of a refusal."""
    if isinstance(error, Problem):
        return error.status
    return STATUS_OF_IMAGE_REASON.get(error.reason, 422)


def reply_bad_field(request: Request, error: Exception) -> Response:
    """The answer to a request whose fields do not fit its route's model."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    name = str(first["loc"][-1])
    if first["type"] == "extra_forbidden":
        known = ", ".join(_fields_of(request.scope["route"]))
        message = f"There is no field {name!r}; there are {known}."
        return refusal(request, 400, code="unknown_field", message=message)
    message = f"{name}={first['input']!r}: {first['msg']}."
    return refusal(request, 422, code="bad_field", message=message)


def _fields_of(route: APIRoute) -> list[str]:
    models = [field.field_info.annotation for field in route.dependant.query_params]
    return ["image", *(name for model in models if model for name in model.model_fields)]


def reply_http(request: Request, error: Exception) -> Response:
    """The answer where no route fits: 404, or 405 with the methods that do."""
    assert isinstance(error, HTTPException)
    allow = (error.headers or {}).get("Allow", "")
    if error.status_code == 405:
        message = f"{request.url.path} takes {allow}, not {request.method}."
        reply = refusal(request, 405, code="method_not_allowed", message=message)
        reply.headers["Allow"] = allow
        return reply
    message = f"There is no {request.url.path} here; /docs lists what there is."
    return refusal(request, error.status_code, code="not_found", message=message)


HANDLERS: dict[type[Exception], Callable[[Request, Exception], Response]] = {
    Problem: reply_problem,
    BadImage: reply_problem,
    RequestValidationError: reply_bad_field,
    HTTPException: reply_http,
}
"""What ends a request → how it is answered. Everything else is a mistake of ours."""


def reply_crash(request: Request, error: Exception) -> Response:
    """The answer to a mistake of ours: logged in full, told in one sentence."""
    logger.error("request %s failed", context_of(request).request_id, exc_info=error)
    message = "The service made a mistake; its log has the details under this request id."
    return refusal(request, 500, code="internal", message=message)


def refusal(request: Request, status: int, *, code: str, message: str) -> Response:
    """An answer in the shape all refusals have, counted by its code."""
    count_refusal(code)
    context = context_of(request)
    context.refused = code
    body: Wire = ErrorReply(
        error=ErrorDetail(code=code, message=message), request_id=context.request_id
    )
    if request.url.path.startswith(CLASSIC):
        body = ClassicError(message=message)
    headers = HEADERS_OF_STATUS.get(status)
    return Response(body.model_dump_json(), status, headers=headers, media_type="application/json")
