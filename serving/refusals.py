"""What the service says when it cannot answer: an HTTP status, a stable code, a sentence.

Every refusal has one shape, ``{"error": {"code", "message"}, "request_id"}``, and on ``/api/…``
the one that classic clients read. What a client sends
is never answered with a 5xx; only a missing champion is (503), because it is not the client's
fault.
"""

import logging

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from pipelines.errors import BadImage
from serving.classic.schemas import ClassicError
from serving.counters import count_refusal
from serving.problems import Problem
from serving.schemas import ErrorDetail, ErrorReply, Wire

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


def reply_problem(request: Request, error: Exception) -> Response:
    """The answer to a request that a `Problem` or a `BadImage` ended."""
    if isinstance(error, BadImage):
        status = STATUS_OF_IMAGE_REASON.get(error.reason, 422)
        return refusal(request, status, code=error.reason, message=str(error))
    assert isinstance(error, Problem)
    reply = refusal(request, error.status, code=error.code, message=str(error))
    reply.headers.update(error.headers)
    return reply


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


def reply_crash(request: Request, error: Exception) -> Response:
    """The answer to a mistake of ours: logged in full, told in one sentence."""
    logger.error("request %s failed", request.state.request_id, exc_info=error)
    message = "The service made a mistake; its log has the details under this request id."
    return refusal(request, 500, code="internal", message=message)


def refusal(request: Request, status: int, *, code: str, message: str) -> Response:
    """An answer in the shape all refusals have, counted by its code."""
    count_refusal(code)
    request.state.refused = code
    body: Wire = ErrorReply(
        error=ErrorDetail(code=code, message=message), request_id=request.state.request_id
    )
    if request.url.path.startswith(CLASSIC):
        body = ClassicError(message=message)
    headers = HEADERS_OF_STATUS.get(status)
    return Response(body.model_dump_json(), status, headers=headers, media_type="application/json")
