"""HTTP headers that tell browsers to keep out of what the service says."""

from starlette.datastructures import MutableHeaders
from starlette.types import Scope

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


def secure(headers: MutableHeaders, scope: Scope) -> None:
    """Add the headers of security to an answer that is about to begin."""
    for name, value in SECURITY.items():
        headers.setdefault(name, value)
    if scope["path"].startswith("/web/") and "etag" in headers:
        headers["Cache-Control"] = "no-cache"
    if scope.get("scheme") == "https":
        headers.setdefault("Strict-Transport-Security", HSTS)
