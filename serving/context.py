"""One request while it is answered: its ID, its clock, who sent it, what it holds of the memory.

The outermost middleware (`serving.middleware`) creates one `RequestContext` for each request.
"""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.types import Scope

from pipelines.access.tokens import Role
from pipelines.errors import MedloopError

KEY = "medloop.context"
"""Where a request's ASGI scope holds its `RequestContext`."""
MEGABYTE = 1 << 20
OTHER = "other"


class Problem(MedloopError):
    """A request that cannot be answered.

    Args:
        status: HTTP status.
        code: a short, stable word that programs can act on.
        message: what is wrong and what to do, for a person.
        headers: HTTP headers that the refusal carries.
    """

    def __init__(
        self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers or {}


class UploadBudget:
    """The bytes of all bodies that are read or worked on now, and how many they may be.

    Args:
        most: bytes; a form is taken apart in memory, so it costs up to three times its size.
    """

    def __init__(self, most: int = 256 * MEGABYTE) -> None:
        self._most = most
        self.held = 0

    def take(self, size: int) -> None:
        """Raises Problem: with so many bytes more there would be too many (503)."""
        if self.held + size > self._most:
            raise Problem(
                503,
                "overloaded",
                "More is being uploaded to this service than it can hold. Send it again later.",
                headers={"Retry-After": "1"},
            )
        self.held += size

    def give_back(self, size: int) -> None:
        """Release bytes."""
        self.held -= size


class Held:
    """What one request holds of the `UploadBudget` until it is answered.

    Args:
        budget: what it is taken from.
    """

    def __init__(self, budget: UploadBudget) -> None:
        self._budget = budget
        self._bytes = 0

    def more(self, size: int) -> None:
        """Take more; raises Problem as `UploadBudget.take` does."""
        self._budget.take(size)
        self._bytes += size

    def release(self) -> None:
        """Give all of it back."""
        self._budget.give_back(self._bytes)
        self._bytes = 0


@dataclass(frozen=True)
class Principal:
    """Who sent a request."""

    role: Role
    token: str | None = None
    """Name of the token; ``None`` where no token is needed."""


def new_request_id() -> str:
    """A request ID that no other request has."""
    return secrets.token_hex(8)


@dataclass
class RequestContext:
    """What the service knows about one request."""

    address: str | None = None
    """The client's, as far as a proxy tells."""
    request_id: str = field(default_factory=new_request_id)
    """In the answer, in logs and in the audit log; `medloop trace` starts from it."""
    began: float = field(default_factory=time.perf_counter)
    principal: Principal | None = None
    """``None`` until the client is known: no valid token came, or the route needs none."""
    upload: Held | None = None
    dataset: str | None = None
    """Whose model answers; ``None`` until it is chosen."""
    model_version: int | None = None
    refused: str | None = None
    """Code of the refusal that we have written ourselves."""
    refused_images: list[str] = field(default_factory=list)
    """Codes of the images of a batch that are refused."""
    is_expired: bool = False
    """Whether the client was answered before the work was done."""

    @property
    def seconds(self) -> float:
        """Since the request began."""
        return time.perf_counter() - self.began

    @property
    def token(self) -> str | None:
        """Name of the token it was sent with."""
        return self.principal.token if self.principal else None


def open_context(scope: Scope) -> RequestContext:
    """Create the context of a request whose answer begins here."""
    client = scope.get("client")
    context = RequestContext(address=client[0] if client else None)
    scope[KEY] = context
    return context


def context_of(request: Request) -> RequestContext:
    """The context of a request."""
    context: RequestContext = request.scope[KEY]
    return context


def route_of(scope: Scope) -> str:
    """The route that a request has found, else ``other``: what a scan asks for is kept nowhere."""
    route = scope.get("route")
    return route.path if route else OTHER
