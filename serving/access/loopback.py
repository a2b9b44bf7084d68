"""Without tokens the service answers this machine only; what a browser here might be made to
send by a page from elsewhere is refused."""

import re

from starlette.requests import Request

from pipelines.reach import is_loopback
from serving.context import Problem

HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::[0-9]+)?")
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


class Loopback:
    """Lets in requests that come over loopback, to a name of this machine, from no foreign page.

    A page from elsewhere can have its own name lead to 127.0.0.1 (DNS rebinding) and then read
    the answers: the ``Host`` it sends gives it away. It can also send forms blindly, with an
    ``Origin`` that is not ours.

    Args:
        names: host names the service is called by, besides those of loopback.
        origins: origins whose pages may ask.
    """

    def __init__(self, names: tuple[str, ...], origins: tuple[str, ...]) -> None:
        self._names = frozenset(name.lower() for name in (*LOOPBACK_NAMES, *names))
        self._origins = frozenset(origins)

    def admit(self, request: Request) -> None:
        """Let a request pass.

        Raises:
            Problem: it came to an address others can reach (401), or a browser was made to
                send it (403).
        """
        address = (request.scope.get("server") or ("",))[0]
        if not is_loopback(address):
            message = "This service was started for this machine only; others need API tokens."
            raise Problem(401, "token_needed", message, headers={"WWW-Authenticate": "Bearer"})
        host = request.headers.get("host", "")
        if _name(host) not in self._names:
            message = (
                f"Host {host[:100]!r} is not a name of this machine. Ask for localhost, or name it "
                "in MEDLOOP_SERVICE_HOSTS."
            )
            raise Problem(403, "foreign_host", message)
        origin = request.headers.get("origin")
        if origin and origin not in self._origins and origin.partition("//")[2] != host:
            message = (
                f"A page of {origin[:100]!r} may not ask this service; those that may are named in "
                "MEDLOOP_SERVICE_CORS_ORIGINS."
            )
            raise Problem(403, "foreign_origin", message)


def _name(host: str) -> str:
    """The name in a ``Host`` header, without port and brackets; empty if it is malformed."""
    match = HOST.fullmatch(host)
    return (match[1] or match[2]).lower() if match else ""
