"""One request while it is answered: its ID, its clock, who sent it, what its body takes of memory.

The outermost middleware (`serving.middleware`) creates one `RequestContext` for each request.
"""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.types import Scope

from pipelines.access.tokens import Role
from pipelines.errors import MedloopError

if TYPE_CHECKING:
    from serving.uploads import UploadShare

KEY = "medloop.context"
"""Where a request's ASGI scope holds its `RequestContext`."""
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
    upload: "UploadShare | None" = None
    """What its body takes of the `UploadBudget` until it is answered."""
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
