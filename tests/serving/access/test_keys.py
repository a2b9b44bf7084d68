"""Whose token a request shows, and what a file that is off means: nobody."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from pipelines.access.store import add_token, revoke_token, token_file
from pipelines.access.tokens import Role, mint
from pipelines.settings import Settings
from serving.access import keys
from serving.access.keys import Keyring
from serving.problems import Problem


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


@pytest.fixture
def keyring(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Keyring:
    """Looks at the file each time it is asked."""
    monkeypatch.setattr(keys, "LOOK_SECONDS", 0)
    return Keyring(token_file(settings))


@pytest.fixture
def header(settings: Settings) -> str:
    token, text = mint("viewer", Role.PREDICT)
    add_token(settings, token)
    return f"Bearer {text}"


def refusal(keyring: Keyring, authorization: str | None) -> Problem:
    with pytest.raises(Problem) as told:
        keyring.holder(authorization)
    return told.value


def test_a_good_token_is_known(keyring: Keyring, header: str) -> None:
    assert keyring.holder(header).name == "viewer"
    assert keyring.holder(header.replace("Bearer", "bearer")).name == "viewer"


def test_what_is_no_good_token_is_not(keyring: Keyring, header: str) -> None:
    scheme, token = header.split()
    wrong = token[:-1] + ("A" if token[-1] != "A" else "B")
    told = {
        "nothing": refusal(keyring, None),
        "another scheme": refusal(keyring, f"Basic {token}"),
        "no scheme": refusal(keyring, token),
        "a wrong secret": refusal(keyring, f"{scheme} {wrong}"),
        "a stranger's": refusal(keyring, f"{scheme} {mint('viewer', Role.ADMIN)[1]}"),
    }
    assert {name: problem.code for name, problem in told.items()} == {
        "nothing": "token_needed",
        "another scheme": "token_malformed",
        "no scheme": "token_malformed",
        "a wrong secret": "token_unknown",
        "a stranger's": "token_unknown",
    }
    for problem in told.values():
        assert problem.status == 401
        assert problem.headers["WWW-Authenticate"].startswith('Bearer realm="medloop"')
        assert token not in str(problem)


def test_an_expired_token_opens_nothing(keyring: Keyring, settings: Settings) -> None:
    token, text = mint("viewer", Role.PREDICT, lifetime=timedelta(seconds=-1))
    add_token(settings, token)
    assert refusal(keyring, f"Bearer {text}").code == "token_expired"


def test_changes_of_the_file_are_seen(keyring: Keyring, header: str, settings: Settings) -> None:
    keyring.holder(header)
    late, text = mint("late", Role.ADMIN)
    add_token(settings, late)
    assert keyring.holder(f"Bearer {text}").name == "late"
    revoke_token(settings, "viewer")
    assert refusal(keyring, header).code == "token_revoked"


def vanish(path: Path) -> None:
    path.unlink()


def break_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def open_to_all(path: Path) -> None:
    path.chmod(0o666)


def become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("fault", [vanish, break_off, open_to_all, become_a_folder])
def test_a_file_that_is_off_closes_and_is_told_once(
    fault: Callable[[Path], None],
    keyring: Keyring,
    header: str,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    keyring.holder(header)
    fault(token_file(settings))
    for _ in range(3):
        problem = refusal(keyring, header)
        assert (problem.status, problem.code) == (503, "tokens_unreadable")
    assert caplog.text.count("Nobody is let in") == 1
    assert str(token_file(settings)) not in str(problem), "paths are the log's business"


def test_a_mended_file_opens_again(keyring: Keyring, header: str, settings: Settings) -> None:
    path = token_file(settings)
    content = path.read_bytes()
    path.write_bytes(b"{")
    refusal(keyring, header)
    path.write_bytes(content)
    assert keyring.holder(header).name == "viewer"
