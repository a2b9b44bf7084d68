"""The gate around everything the service answers, BentoML's own routes included."""

import math
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from pipelines.access.store import token_file
from pipelines.settings import Settings, listed
from serving.access.doors import role_for
from serving.access.envelope import Envelope
from serving.access.keys import Keyring
from serving.access.neighbours import Neighbours
from serving.access.rates import Rates
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
    answer_seconds: float = 120.0
    """Longest time until an answer begins; see `Envelope`."""

    def admit(self, request: Request) -> None:
        """Let a request pass, and note whose it is: the token's name in ``request.state.client``,
        and in ``is_known`` that somebody is known to have sent it.

        Raises:
            Problem: it may not.
        """
        role = role_for(request.scope["path"])
        if role is None:
            return
        if self.keyring is None:
            self.neighbours.admit(request)
            request.state.is_known = True
            return
        try:
            token = self.keyring.holder(request.headers.get("authorization"))
        except Problem as problem:
            if problem.status == 401:
                _hold(self.strangers, _network(request.client.host if request.client else ""))
            raise
        request.state.client = token.name
        request.state.role = token.role
        request.state.is_known = True
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
        answer_seconds=settings.service_answer_seconds,
    )


def gated(app: ASGIApp, guard: Guard) -> ASGIApp:
    """An application behind the gate; pages of the allowed origins may ask it from browsers."""
    gate: ASGIApp = Gate(app, guard)
    if guard.origins:
        gate = CORSMiddleware(
            gate,
            allow_origins=guard.origins,
            allow_methods=("GET", "POST"),
            allow_headers=("Authorization", "Content-Type"),
            expose_headers=CORS_HEADERS,
        )
    return Envelope(gate, guard.audit, guard.answer_seconds)


@dataclass(frozen=True)
class Gate:
    """Refuses requests that may not pass."""

    inner: ASGIApp
    guard: Guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = Request(scope)
            try:
                self.guard.admit(request)
            except Problem as problem:
                await reply_problem(request, problem)(scope, receive, send)
                return
        await self.inner(scope, receive, send)


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
