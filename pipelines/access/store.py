"""The file of tokens: ``$MEDLOOP_HOME/service/access/tokens.json``, readable by its owner only.

Written whole or not at all, one writer at a time. Whoever reads it and cannot must let nobody in.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from pipelines.access.tokens import Token
from pipelines.atomic import write_private
from pipelines.errors import NotFound, SettingsError, TokenFileError
from pipelines.locks import locked
from pipelines.settings import Settings

FORMAT_VERSION = 1


class _Version(BaseModel):
    format_version: int = FORMAT_VERSION


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int = FORMAT_VERSION
    tokens: tuple[Token, ...] = ()


def token_file(settings: Settings) -> Path:
    """Where the tokens of an installation are kept."""
    return settings.home / "service" / "access" / "tokens.json"


def read_tokens(path: Path) -> tuple[Token, ...]:
    """All tokens, revoked and expired ones too.

    Raises:
        TokenFileError: the file is missing, unreadable, not one of ours, or others may write it.
    """
    try:
        if path.stat().st_mode & 0o022:
            raise TokenFileError(f"{path} can be written by others: chmod 600 {path}")
        content = path.read_bytes()
        _require_known(path, content)
        file = _File.model_validate_json(content)
    except FileNotFoundError as error:
        raise TokenFileError(
            f"There is no {path}. Make a token (medloop token new NAME), or put the file back."
        ) from error
    except OSError as error:
        raise TokenFileError(f"{path} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise TokenFileError(
            f"{path} is no file of tokens ({place}: {first['msg']}). Put a copy of it back, or "
            "move it away and make new tokens."
        ) from error
    return file.tokens


def _require_known(path: Path, content: bytes) -> None:
    """Told before anything else in a file is looked at: a newer one may hold what we know not."""
    version = _Version.model_validate_json(content).format_version
    if version != FORMAT_VERSION:
        raise TokenFileError(
            f"{path} is of format {version}; this Medloop reads {FORMAT_VERSION}. Use the release "
            "that wrote it, or put back a backup from before (medloop restore-backup)."
        )


def add_token(settings: Settings, token: Token) -> None:
    """Keep a new token.

    Raises:
        SettingsError: there is, or was, a token of that name.
        TokenFileError: the file cannot be read.
    """
    with _changing(token_file(settings)) as tokens:
        if any(known.name == token.name for known in tokens):
            raise SettingsError(
                f"There is or was a token {token.name!r} (medloop token list). The audit log goes "
                "by names, so choose another."
            )
        tokens.append(token)


def revoke_token(settings: Settings, name: str) -> Token:
    """Let a token open nothing any more; revoking it again changes nothing.

    Raises:
        NotFound: there is no such token; the message lists those there are.
        TokenFileError: the file cannot be read.
    """
    with _changing(token_file(settings)) as tokens:
        for place, known in enumerate(tokens):
            if known.name == name:
                now = datetime.now(UTC).replace(microsecond=0)
                when = known.revoked_at or now
                tokens[place] = known.model_copy(update={"revoked_at": when})
                return tokens[place]
        names = ", ".join(known.name for known in tokens) or "none yet"
        raise NotFound(f"There is no token {name!r}; tokens: {names}.")


@contextmanager
def _changing(path: Path) -> Iterator[list[Token]]:
    """The tokens, to be changed in place; written when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(path.parent / "lock"):
        tokens = list(read_tokens(path)) if path.exists() else []
        yield tokens
        write_private(path, _File(tokens=tuple(tokens)).model_dump_json(indent=2) + "\n")
