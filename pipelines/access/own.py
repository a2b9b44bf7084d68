"""The installation's own token: its commands and its canary ask the service with it.

Its text stands in ``$MEDLOOP_HOME/service/access/own-token``, readable by its owner only. Whoever
can read that could write the file of tokens as well, so it opens no door that was shut.
"""

import secrets
from datetime import UTC, datetime
from pathlib import Path

from pipelines.access.store import add_token, read_tokens, token_file
from pipelines.access.tokens import Role, Token, mint, parse
from pipelines.atomic import write_private
from pipelines.settings import Settings

OWN_PREFIX = "medloop-own-"


def own_token(settings: Settings) -> str:
    """The token this installation asks its own service with; made if there is none that opens.

    Raises:
        TokenFileError: the file of tokens cannot be read.
    """
    kept = kept_own_token(settings.home)
    if kept and _opens(settings, kept):
        return kept
    token, text = mint(OWN_PREFIX + secrets.token_hex(3), Role.ADMIN)
    add_token(settings, token)
    write_private(_path(settings.home), text + "\n")
    return text


def kept_own_token(home: Path) -> str | None:
    """The text of the installation's own token, if it has one (on another machine than the
    service's, put a token there by hand).

    Args:
        home: state folder of the installation.
    """
    path = _path(home)
    return path.read_text("utf-8").strip() if path.exists() else None


def is_own(token: Token) -> bool:
    """Whether a token is an installation's own, which no person has asked for."""
    return token.name.startswith(OWN_PREFIX)


def _opens(settings: Settings, text: str) -> bool:
    presented = parse(text)
    if presented is None or not token_file(settings).exists():
        return False
    return any(
        token.id == presented.id
        and token.has_secret(presented.secret)
        and token.state(datetime.now(UTC)) == "active"
        for token in read_tokens(token_file(settings))
    )


def _path(home: Path) -> Path:
    return home / "service" / "access" / "own-token"
