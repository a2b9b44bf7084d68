"""API tokens: how one is made, what is kept of it, and how a client's is known again.

A token reads ``medloop_<id>_<secret>``. The id finds its record; of the secret, 256 random bits,
only the SHA-256 is kept. A slow hash (bcrypt, Argon2) makes up for what people choose as
passwords; nobody can try 2**256 secrets, however fast the hash, and a slow one on every request
would be a way to keep the service busy.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

PREFIX = "medloop"
SECRET_BYTES = 32
_FORM = re.compile(rf"{PREFIX}_([0-9a-f]{{12}})_([A-Za-z0-9_-]{{43}})")

State = Literal["active", "expired", "revoked"]
TokenName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]


class Role(StrEnum):
    """What a token is for."""

    PREDICT = "predict"
    """Ask for predictions and explanations, and which models answer."""
    UPLOAD = "upload"
    """Bring images into the landing folder; may not ask for predictions."""
    METRICS = "metrics"
    """Read the figures for Prometheus (``/metrics``), and nothing else: a scraper's token lies in
    a file of another program."""
    ADMIN = "admin"
    """Everything."""

    def includes(self, other: "Role") -> bool:
        """Whether a token of this role may do what one of the other may."""
        return self in (Role.ADMIN, other)


class Token(BaseModel):
    """What is kept of a token: everything but its secret."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: TokenName
    """Stands in the audit log; never given twice."""
    role: Role
    id: str = Field(pattern=r"^[0-9a-f]{12}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of the secret."""
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    revoked_at: AwareDatetime | None = None

    def state(self, now: datetime) -> State:
        """Whether it opens anything at a moment."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= now:
            return "expired"
        return "active"

    def has_secret(self, secret: str) -> bool:
        """Whether a secret is this token's, compared in constant time."""
        return hmac.compare_digest(self.sha256, _digest(secret))


@dataclass(frozen=True)
class Presented:
    """A token as a client sent it."""

    id: str
    secret: str = field(repr=False)


def mint(name: str, role: Role, *, lifetime: timedelta | None = None) -> tuple[Token, str]:
    """A new token: what to keep of it, and the text to hand to the client, once."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    now = datetime.now(UTC).replace(microsecond=0)
    token = Token(
        name=name,
        role=role,
        id=secrets.token_hex(6),
        sha256=_digest(secret),
        created_at=now,
        expires_at=now + lifetime if lifetime else None,
    )
    return token, f"{PREFIX}_{token.id}_{secret}"


def parse(text: str) -> Presented | None:
    """A token's id and secret; ``None`` if the text has not the form of one."""
    match = _FORM.fullmatch(text)
    return Presented(*match.groups()) if match else None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
