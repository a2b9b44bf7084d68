"""Who may ask which route, and how often. A permission is a dependency of each route; a route
without one cannot be made, and a path without a route is for administrators only."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from fastapi import Depends
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from pipelines.access.store import token_file
from pipelines.access.tokens import Role
from pipelines.settings import Settings, listed
from serving.access.clients import Loopback, TokenVerifier
from serving.context import Principal, Problem, context_of
from serving.records.audit import Audit
from serving.refusals import HANDLERS, reply_crash

UNKNOWN_PER_SECOND = 5.0
UNKNOWN_BURST = 50
"""How often one address may be refused a token's worth before it is not even listened to."""
MOST_CALLERS = 10_000


class Rates:
    """Token buckets by the generic cell rate algorithm (ITU-T I.371): of each caller only the
    time is kept at which its bucket will be full again.

    Each worker keeps its own, so N workers together let a caller have N times as much: the limit
    is there to keep one caller from taking a worker from all others.

    Args:
        per_second: how fast a bucket fills.
        burst: how much it holds.
        clock: seconds that never run back.
    """

    def __init__(
        self, per_second: float, burst: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._interval = 1 / per_second
        self._slack = (burst - 1) / per_second
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def wait(self, caller: str) -> float:
        """Take one from a caller's bucket; how long to wait (s) if it is empty, else 0."""
        now = self._clock()
        full_at = max(self._full_at.get(caller, now), now)
        wait = full_at - self._slack - now
        if wait > 1e-9:
            return wait
        self._full_at[caller] = full_at + self._interval
        self._full_at.move_to_end(caller)
        if len(self._full_at) > MOST_CALLERS:
            # whoever asked least recently is the nearest to a full bucket, which is no entry
            self._full_at.popitem(last=False)
        return 0.0


@dataclass(frozen=True)
class Guard:
    """What permissions are judged by.

    ``tokens`` is ``None`` where no tokens are asked for; then ``loopback`` decides.
    """

    tokens: TokenVerifier | None
    loopback: Loopback
    rates: Rates
    unauthenticated: Rates
    audit: Audit
    origins: tuple[str, ...]
    """Origins whose pages may ask from browsers."""
    answer_seconds: float = 120.0
    """Longest time until an answer begins; see `serving.middleware`."""

    def admit(self, request: Request, role: Role) -> None:
        """Let a request pass, and note in its context who sent it.

        Args:
            request: the request.
            role: the least role that may ask it.

        Raises:
            Problem: it may not pass.
        """
        context = context_of(request)
        if self.tokens is None:
            self.loopback.admit(request)
            context.principal = Principal(Role.ADMIN)
            return
        try:
            token = self.tokens.holder(request.headers.get("authorization"))
        except Problem as problem:
            if problem.status == 401:
                _hold(self.unauthenticated, _network(context.address or ""))
            raise
        context.principal = Principal(token.role, token.name)
        _hold(self.rates, token.name)
        if not token.role.includes(role):
            raise Problem(
                403,
                "not_allowed",
                f"A token for {token.role} may not ask this; one for {role} may.",
                headers={"WWW-Authenticate": 'Bearer realm="medloop", error="insufficient_scope"'},
            )


def guard_of(settings: Settings, *, tokens: bool) -> Guard:
    """The guard of an installation.

    Args:
        settings: the installation's.
        tokens: whether tokens are asked for.
    """
    origins = listed(settings.service_cors_origins)
    names = (settings.host, *listed(settings.service_hosts))
    return Guard(
        tokens=TokenVerifier(token_file(settings)) if tokens else None,
        loopback=Loopback(names, origins),
        rates=Rates(settings.service_rate, settings.service_burst),
        unauthenticated=Rates(UNKNOWN_PER_SECOND, UNKNOWN_BURST),
        audit=Audit.of(settings),
        origins=origins,
        answer_seconds=settings.service_answer_seconds,
    )


@dataclass(frozen=True)
class Permission:
    """A dependency that lets in who may ask a route.

    Attributes:
        role: the least role; ``None`` if anybody may.
    """

    role: Role | None

    async def __call__(self, request: Request) -> None:
        """Raises Problem: the request may not pass."""
        if self.role is not None:
            guard: Guard = request.app.state.guard
            guard.admit(request, self.role)


ANYBODY = Depends(Permission(None))
PREDICT = Depends(Permission(Role.PREDICT))
UPLOAD = Depends(Permission(Role.UPLOAD))
METRICS = Depends(Permission(Role.METRICS))
ONLY_ADMINISTRATORS = Permission(Role.ADMIN)
"""For every path that has no route."""


class GuardedRoute(APIRoute):
    """A route with exactly one `Permission` among its dependencies.

    Raises:
        TypeError: there is none, or there are several.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        found = [d.call for d in self.dependant.dependencies if isinstance(d.call, Permission)]
        if len(found) != 1:
            raise TypeError(f"{self.path} has {len(found)} permissions; a route has exactly one.")
        self.permission = found[0]
        # what /docs shows beside the path; FastAPI would show the function's name there
        self.summary = self.summary or " ".join(self.description.split())
        self.description = ""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; ``HEAD`` as ``GET``. Which methods there are is told to those who may ask."""
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        if method not in self.methods:
            await self.permission(Request(scope))
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(self.methods))})
        await self.app(scope, receive, send)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with mistakes of ours answered here: inside of CORS, so that pages of
        allowed origins can read the refusal."""
        answer = super().get_route_handler()

        async def answer_or_refuse(request: Request) -> Response:
            try:
                return await answer(request)
            except tuple(HANDLERS):
                raise
            except Exception as error:
                return reply_crash(request, error)

        return answer_or_refuse


def _network(address: str) -> str:
    """Whom an address belongs to: itself, or the /64 of an IPv6 address, all of which one
    subscriber has."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address


def _hold(rates: Rates, caller: str) -> None:
    wait = rates.wait(caller)
    if wait:
        message = f"Too many requests; wait {wait:.1f} s."
        headers = {"Retry-After": str(math.ceil(wait))}
        raise Problem(429, "too_many_requests", message, headers=headers)
