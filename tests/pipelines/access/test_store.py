"""The file of tokens: private, whole, and not believed when it is off."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipelines.access.own import is_own, kept_own_token, own_token
from pipelines.access.store import add_token, read_tokens, revoke_token, token_file
from pipelines.access.tokens import Role, mint, parse
from pipelines.errors import NotFound, SettingsError, TokenFileError
from pipelines.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def add(settings: Settings, name: str) -> str:
    token, text = mint(name, Role.PREDICT)
    add_token(settings, token)
    return text


def test_only_its_owner_may_read_it(settings: Settings) -> None:
    text = add(settings, "viewer")
    path = token_file(settings)
    presented = parse(text)
    assert presented is not None
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert presented.secret not in path.read_text("utf-8")
    assert [token.name for token in read_tokens(path)] == ["viewer"]


def test_tokens_made_at_once_are_all_kept(settings: Settings) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: add(settings, f"client-{n}"), range(24)))
    assert len(read_tokens(token_file(settings))) == 24
    assert {p.name for p in token_file(settings).parent.iterdir()} == {"lock", "tokens.json"}


def test_a_name_is_given_once_even_after_it_was_revoked(settings: Settings) -> None:
    add(settings, "viewer")
    revoke_token(settings, "viewer")
    with pytest.raises(SettingsError, match=r"'viewer'.*choose another"):
        add(settings, "viewer")


def test_revoking_again_changes_nothing(settings: Settings) -> None:
    add(settings, "viewer")
    first = revoke_token(settings, "viewer")
    assert revoke_token(settings, "viewer") == first


def test_an_unknown_name_is_answered_with_those_there_are(settings: Settings) -> None:
    add(settings, "viewer")
    with pytest.raises(NotFound, match="'pacs'; tokens: viewer"):
        revoke_token(settings, "pacs")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no file of tokens"),
        ("{", "no file of tokens"),
        ("[]", "no file of tokens"),
        ('{"tokens": [{"name": "x"}]}', "tokens.0.role"),
        ('{"format_version": 2, "tokens": []}', "is of format 2"),
        ('{"format_version": 2, "keys": [1]}', "is of format 2"),
    ],
)
def test_a_broken_file_is_told_and_never_written_over(
    settings: Settings, content: str, said: str
) -> None:
    path = token_file(settings)
    path.parent.mkdir(parents=True)
    path.write_text(content, encoding="utf-8")
    with pytest.raises(TokenFileError, match=said):
        read_tokens(path)
    with pytest.raises(TokenFileError):
        add(settings, "viewer")
    assert path.read_text("utf-8") == content


def test_a_broken_file_s_hashes_are_not_in_the_message(settings: Settings) -> None:
    add(settings, "viewer")
    path = token_file(settings)
    content = json.loads(path.read_text("utf-8"))
    digest = content["tokens"][0]["sha256"]
    content["tokens"][0]["sha256"] = digest + "0"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(TokenFileError) as told:
        read_tokens(path)
    assert digest not in str(told.value)


def test_a_file_that_others_may_write_is_not_believed(settings: Settings) -> None:
    add(settings, "viewer")
    token_file(settings).chmod(0o620)
    with pytest.raises(TokenFileError, match="chmod 600"):
        read_tokens(token_file(settings))


def test_an_installation_has_one_token_of_its_own(settings: Settings) -> None:
    assert kept_own_token(settings.home) is None
    text = own_token(settings)
    assert own_token(settings) == text == kept_own_token(settings.home)
    (token,) = read_tokens(token_file(settings))
    assert is_own(token)
    assert token.role is Role.ADMIN
    kept = token_file(settings).with_name("own-token")
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_revoked_own_token_is_replaced(settings: Settings) -> None:
    text = own_token(settings)
    (token,) = read_tokens(token_file(settings))
    revoke_token(settings, token.name)
    assert own_token(settings) != text
