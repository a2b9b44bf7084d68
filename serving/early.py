"""Refusals by the server itself, before the application sees a request.

They have the shape, the request ID, the security headers and the line in the audit log of every
other refusal.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus

from serving.access.headers import security_headers
from serving.marks import new_request_id
from serving.schemas import ErrorDetail, ErrorReply


@dataclass(frozen=True)
class EarlyRefusal:
    """What is answered, and to which address."""

    status: int
    code: str
    message: str
    address: str | None
    scheme: str = "http"
    """``https`` over TLS."""
    request_id: str = field(default_factory=new_request_id)

    def __bytes__(self) -> bytes:
        """The whole HTTP/1.1 response; the connection ends after it."""
        reply = ErrorReply(
            error=ErrorDetail(code=self.code, message=self.message), request_id=self.request_id
        )
        body = reply.model_dump_json().encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
            (b"x-request-id", self.request_id.encode()),
            *security_headers(self.scheme),
        ]
        if self.status == HTTPStatus.SERVICE_UNAVAILABLE:
            headers.append((b"retry-after", b"1"))
        phrase = HTTPStatus(self.status).phrase.encode()
        lines = [b"HTTP/1.1 %d %s" % (self.status, phrase)]
        lines += [name + b": " + value for name, value in headers]
        return b"\r\n".join(lines) + b"\r\n\r\n" + body


Note = Callable[[EarlyRefusal], None]
"""Takes note of a refusal, on the event loop: returns at once and never raises."""


def unnoted(_: EarlyRefusal) -> None:
    """Take no note."""
