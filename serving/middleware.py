"""What surrounds every request, whoever answers it: its context, security headers, one shape of
refusals, a line in the audit log, a count, and a limit in time.

BentoML's own routes and errors pass through it too. Only what is not HTTP does not: uvicorn
refuses it in its own words, or a proxy does (`examples/nginx`).
"""

import asyncio
import logging
from dataclasses import dataclass
from http import HTTPStatus

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.context import RequestContext, open_context, route_of
from serving.metrics import count_request
from serving.records.audit import Audit
from serving.refusals import refusal, reply_crash

logger = logging.getLogger(__name__)

CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 500: "internal"}
"""Codes of refusals by others than us: BentoML's routes, CORS."""
KEPT = (b"allow", b"retry-after", b"vary")
"""Headers of such a refusal that are kept, besides those of CORS."""
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


@dataclass(frozen=True)
class RequestMiddleware:
    """The outermost layer of the application."""

    app: ASGIApp
    audit: Audit
    answer_seconds: float
    """Longest time until an answer begins, its body's arrival included; then 504."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        context = open_context(scope)
        reply = _Reply(self.audit, context, scope, receive, send)
        loop = asyncio.get_running_loop()
        clock = loop.call_later(self.answer_seconds, reply.expire, self.answer_seconds)
        try:
            await self.app(scope, receive, reply.send)
        except Exception as error:
            await reply.crash(error)
        finally:
            clock.cancel()
            if context.upload:
                context.upload.release()
            if reply.late:
                await reply.late


class _Reply:
    """One request's answer on its way out."""

    def __init__(
        self, audit: Audit, context: RequestContext, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._audit = audit
        self._context = context
        self._scope = scope
        self._receive = receive
        self._send = send
        self._has_begun = False
        self._is_ours = False
        """Whether we answer in the application's place; what it still sends is dropped."""
        self.late: asyncio.Task[None] | None = None

    async def send(self, message: Message) -> None:
        """Send what the application answers."""
        if self._is_ours:
            return
        if message["type"] == "http.response.start":
            self._has_begun = True
            status = message["status"]
            if status >= 400 and self._context.refused is None:
                await self._replace(status, message["headers"])
                return
        await self._pass(message)

    def expire(self, seconds: float) -> None:
        """Answer 504 if no answer has begun.

        The application goes on: a thread cannot be stopped, and what it holds (a place in the
        queue, the bytes of the body) is free when it ends, no sooner.
        """
        if not self._has_begun:
            self._is_ours = self._has_begun = self._context.is_expired = True
            message = f"There was no answer within {seconds:g} s. Try again later."
            self.late = asyncio.create_task(self._refuse(504, "timed_out", message))

    async def crash(self, error: Exception) -> None:
        """Answer 500, if no answer has begun.

        Raises:
            Exception: the error, if half an answer is out: the client must not take it for whole.
        """
        if self._has_begun:
            logger.error("request %s failed", self._context.request_id, exc_info=error)
            if not self._is_ours:
                raise error
            return
        self._is_ours = self._has_begun = True
        reply = reply_crash(Request(self._scope), error)
        await reply(self._scope, self._receive, self._pass)

    async def _replace(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Say in our shape what others refuse in theirs."""
        self._is_ours = True
        code = CODES.get(status, "refused" if status < 500 else "internal")
        phrase = HTTPStatus(status).phrase
        message = f"{self._scope['method']} {self._scope['path']}: {phrase}."
        kept = [
            pair for pair in headers if pair[0] in KEPT or pair[0].startswith(b"access-control-")
        ]
        await self._refuse(status, code, message, kept)

    async def _refuse(
        self, status: int, code: str, message: str, headers: list[tuple[bytes, bytes]] | None = None
    ) -> None:
        reply = refusal(Request(self._scope), status, code=code, message=message)
        reply.raw_headers.extend(headers or [])
        await reply(self._scope, self._receive, self._pass)

    async def _pass(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            scope, context, status = self._scope, self._context, message["status"]
            secure(message, scope, request_id=context.request_id)
            route = route_of(scope)
            count_request(route, status=status, seconds=context.seconds)
            self._audit.note_refusals(context, status, route=route)
        await self._send(message)


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
