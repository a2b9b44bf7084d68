"""HTTP headers that tell browsers to keep out of what the service says."""

from starlette.types import Message, Scope

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
