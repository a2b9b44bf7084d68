"""``medloop token``: who may ask the service from beyond this machine."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from pydantic import ValidationError

from pipelines.access.own import is_own
from pipelines.access.store import add_token, read_tokens, revoke_token, token_file
from pipelines.access.tokens import Role, mint
from pipelines.cli.console import console, done, errors, table
from pipelines.errors import SettingsError
from pipelines.settings import get_settings

app = typer.Typer(
    no_args_is_help=True,
    help="""API tokens of the service, which asks for one wherever others can reach it.

    A running service takes changes over within a second.
    """,
)
UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}

Name = Annotated[str, typer.Argument(help="Who uses it, as the audit log should call them.")]


@app.command()
def new(
    name: Name,
    role: Annotated[Role, typer.Option(help="What it is for; admin may do all.")] = Role.PREDICT,
    expires: Annotated[
        str | None, typer.Option(help="Life, as 12h, 90d or 8w; for ever if left out.")
    ] = None,
) -> None:
    """Make a token and show it, this once: only its hash is kept."""
    lifetime = _lifetime(expires) if expires is not None else None
    try:
        token, text = mint(name, role, lifetime=lifetime)
    except ValidationError as error:
        raise SettingsError(
            f"A token cannot be called {name!r}: lower-case letters, digits, dots and dashes, 64 "
            "at most."
        ) from error
    add_token(get_settings(), token)
    until = f"until {token.expires_at:%Y-%m-%d %H:%M} UTC" if token.expires_at else "for ever"
    # the token alone goes to standard output, so that a script can take it
    errors.print(f"{name}: may {role}, {until}. Copy it now, it cannot be shown again:")
    print(text)


@app.command("list")
def show() -> None:
    """Every token there is or was, without its secret."""
    path = token_file(get_settings())
    tokens = read_tokens(path) if path.exists() else ()
    now = datetime.now(UTC)
    rows = table("Tokens", "name", "role", "state", "made", "expires")
    for token in tokens:
        if not is_own(token):
            expires = f"{token.expires_at:%Y-%m-%d %H:%M}" if token.expires_at else "never"
            made = f"{token.created_at:%Y-%m-%d %H:%M}"
            rows.add_row(token.name, token.role, token.state(now), made, expires)
    console.print(rows if rows.row_count else "No tokens yet: medloop token new NAME")


@app.command()
def revoke(name: Name) -> None:
    """Let a token open nothing any more; its name stays in the list."""
    revoke_token(get_settings(), name)
    done(f"{name}: revoked; running services refuse it within a second")


def _lifetime(text: str) -> timedelta:
    match = re.fullmatch(r"([1-9][0-9]{0,4})([hdw])", text)
    if match is None:
        raise SettingsError(f"--expires {text!r} is no length of time; write 12h, 90d or 8w.")
    return int(match[1]) * UNITS[match[2]]
