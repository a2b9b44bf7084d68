"""The gate around everything the service answers, BentoML's own routes included."""

import math
import time
from dataclasses import dataclass

from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipelines.access.store import token_file
from pipelines.settings import Settings, listed
from serving.access.doors import known, role_for
from serving.access.headers import secure
from serving.access.keys import Keyring
from serving.access.neighbours import Neighbours
from serving.access.rates import Rates
from serving.counters import count_request
from serving.marks import mark
from serving.problems import Problem
from serving.records.audit import Audit
from serving.refusals import reply_problem

STRANGERS_PER_SECOND = 5.0
STRANGERS_BURST = 50
"""How often one address may be refused a token's worth before it is not even listened to."""
CORS_HEADERS = ("X-Request-ID", "Retry-After", "WWW-Authenticate")


@dataclass(frozen=True)
class Guard:
    """What the gate goes by.

    ``keyring`` is ``None`` where no tokens are asked for; then ``neighbours`` decides.
    """

    keyring: Keyring | None
    neighbours: Neighbours
    rates: Rates
    strangers: Rates
    audit: Audit
    origins: tuple[str, ...]

    def admit(self, request: Request) -> None:
        """Let a request pass, and note whose it is in ``request.state.client``.

        Raises:
            Problem: it may not.
        """
        role = role_for(request.scope["path"])
        if role is None:
            return
        if self.keyring is None:
            self.neighbours.admit(request)
            return
        try:
            token = self.keyring.holder(request.headers.get("authorization"))
        except Problem as problem:
            if problem.status == 401:
                _hold(self.strangers, request.client.host if request.client else "")
            raise
        request.state.client = token.name
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
        keyring=Keyring(token_file(settings)) if tokens else None,
        neighbours=Neighbours(names, origins),
        rates=Rates(settings.service_rate, settings.service_burst),
        strangers=Rates(STRANGERS_PER_SECOND, STRANGERS_BURST),
        audit=Audit.of(settings),
        origins=origins,
    )


def gated(app: ASGIApp, guard: Guard) -> ASGIApp:
    """An application behind the gate; pages of the allowed origins may ask it from browsers."""
    gate = Gate(app, guard)
    if not guard.origins:
        return gate
    return CORSMiddleware(
        gate,
        allow_origins=guard.origins,
        allow_methods=("GET", "POST"),
        allow_headers=("Authorization", "Content-Type"),
        expose_headers=CORS_HEADERS,
    )


@dataclass(frozen=True)
class Gate:
    """Gives each request an id, refuses those that may not pass, and adds what browsers need."""

    inner: ASGIApp
    guard: Guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.inner(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = mark(scope)
        request = Request(scope)

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                secure(message, scope, request_id=request_id)
                self.guard.audit.note_refusals(request, message["status"])
            await send(message)

        try:
            self.guard.admit(request)
        except Problem as problem:
            seconds = time.perf_counter() - scope["state"]["began"]
            count_request(known(scope["path"]), status=problem.status, seconds=seconds)
            await reply_problem(request, problem)(scope, receive, send_marked)
        else:
            await self.inner(scope, receive, send_marked)


def _hold(rates: Rates, caller: str) -> None:
    wait = rates.wait(caller)
    if wait:
        message = f"Too many requests; wait {wait:.1f} s."
        headers = {"Retry-After": str(math.ceil(wait))}
        raise Problem(429, "too_many_requests", message, headers=headers)
