"""How a client is known: by the token that it sends, or, where none is needed, as this machine.

Without tokens the service answers this machine only. What a browser here might be made to send by
a page from elsewhere is refused.
"""

import logging
import os
import re
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from starlette.requests import Request

from pipelines.access.store import read_tokens
from pipelines.access.tokens import Token, parse
from pipelines.errors import TokenFileError
from pipelines.reach import is_loopback
from serving.context import Problem

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""The file is looked at no more often than this."""
REALM = 'Bearer realm="medloop"'
HOW = "Send the header 'Authorization: Bearer TOKEN'"
HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::[0-9]+)?")
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


class TokenVerifier:
    """Verifies tokens; follows the file within a second, in every worker by itself.

    A file that is gone or broken lets nobody in until it is mended: what was read before no
    longer counts, since the change may have been a revocation.

    Args:
        path: the file of tokens.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tokens: dict[str, Token] = {}
        self._trouble: str | None = "not read yet"
        self._seen: tuple[int, ...] | None = None
        self._next_look = 0.0
        self._looking = threading.Lock()

    def holder(self, authorization: str | None) -> Token:
        """The token that a request shows.

        Args:
            authorization: its ``Authorization`` header.

        Raises:
            Problem: none came, or it opens nothing (401); the file cannot be read (503).
        """
        if not authorization:
            raise _closed("token_needed", f"This service asks for an API token. {HOW}.")
        scheme, _, text = authorization.partition(" ")
        presented = parse(text.strip()) if scheme.lower() == "bearer" else None
        if presented is None:
            raise _closed("token_malformed", f"Unknown API token. {HOW}.")
        self._look()
        if self._trouble:
            message = "Tokens cannot be checked now; the service's log says why. Nobody is let in."
            raise Problem(503, "tokens_unreadable", message)
        token = self._tokens.get(presented.id)
        if token is None or not token.has_secret(presented.secret):
            raise _closed("token_unknown", "There is no such token (any more).")
        state = token.state(datetime.now(UTC))
        if state != "active":
            message = f"This token is {state}. Ask for a new one (medloop token new)."
            raise _closed(f"token_{state}", message)
        return token

    def _look(self) -> None:
        """Read the file again if it has changed."""
        with self._looking:
            if time.monotonic() < self._next_look:
                return
            self._next_look = time.monotonic() + LOOK_SECONDS
            seen = _signature(self._path)
            if seen is not None and seen == self._seen:
                return
            self._seen = seen
            self._read()

    def _read(self) -> None:
        try:
            self._tokens = {token.id: token for token in read_tokens(self._path)}
            self._trouble = None
        except TokenFileError as error:
            if str(error) != self._trouble:
                logger.error("Nobody is let in: %s", error)
            self._tokens, self._trouble = {}, str(error)


def _signature(path: Path) -> tuple[int, ...] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 (once a second on the event loop)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_mode


def _closed(code: str, message: str) -> Problem:
    """A 401 as RFC 6750, section 3 has it."""
    challenge = REALM if code == "token_needed" else f'{REALM}, error="invalid_token"'
    return Problem(401, code, message, headers={"WWW-Authenticate": challenge})


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
