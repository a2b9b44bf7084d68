"""What the service says when it cannot answer: an HTTP status, a stable code, a sentence.

Every refusal has one shape, ``{"error": {"code", "message"}, "request_id"}``, and on ``/api/…``
the one of the legacy API. What a client sends is never answered with a 5xx; only a missing
champion is (503), because it is not the client's fault.
"""

import logging
from collections.abc import Callable

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from pipelines.errors import BadImage
from serving.context import Problem, context_of
from serving.metrics import count_refusal
from serving.schemas import ErrorDetail, ErrorReply, LegacyError, Wire

logger = logging.getLogger(__name__)

STATUS_OF_IMAGE_REASON = {
    "unknown_format": 415,
    "unsupported": 415,
    "no_pixels": 415,
    "too_large": 413,
}
"""The HTTP status of a `BadImage.reason`; every other reason is 422."""
LEGACY_API = "/api/"
HEADERS_OF_STATUS = {
    408: {"Connection": "close"},
    413: {"Connection": "close"},
    503: {"Retry-After": "5"},
}


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
    if request.url.path.startswith(LEGACY_API):
        body = LegacyError(message=message)
    headers = HEADERS_OF_STATUS.get(status)
    return Response(body.model_dump_json(), status, headers=headers, media_type="application/json")
