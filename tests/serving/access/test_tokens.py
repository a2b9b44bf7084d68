"""Whose token a request shows, and what a file that is off means: nobody."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from pipelines.access.store import add_token, revoke_token, token_file
from pipelines.access.tokens import Role, mint
from pipelines.settings import Settings
from serving.access import clients
from serving.access.clients import TokenVerifier
from serving.context import Problem


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


@pytest.fixture
def verifier(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> TokenVerifier:
    """Looks at the file each time it is asked."""
    monkeypatch.setattr(clients, "LOOK_SECONDS", 0)
    return TokenVerifier(token_file(settings))


@pytest.fixture
def header(settings: Settings) -> str:
    token, text = mint("viewer", Role.PREDICT)
    add_token(settings, token)
    return f"Bearer {text}"


def refusal(verifier: TokenVerifier, authorization: str | None) -> Problem:
    with pytest.raises(Problem) as told:
        verifier.holder(authorization)
    return told.value


def test_a_good_token_is_known(verifier: TokenVerifier, header: str) -> None:
    assert verifier.holder(header).name == "viewer"
    assert verifier.holder(header.replace("Bearer", "bearer")).name == "viewer"


def test_what_is_no_good_token_is_not(verifier: TokenVerifier, header: str) -> None:
    scheme, token = header.split()
    wrong = token[:-1] + ("A" if token[-1] != "A" else "B")
    told = {
        "nothing": refusal(verifier, None),
        "another scheme": refusal(verifier, f"Basic {token}"),
        "no scheme": refusal(verifier, token),
        "a wrong secret": refusal(verifier, f"{scheme} {wrong}"),
        "a stranger's": refusal(verifier, f"{scheme} {mint('viewer', Role.ADMIN)[1]}"),
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


def test_an_expired_token_opens_nothing(verifier: TokenVerifier, settings: Settings) -> None:
    token, text = mint("viewer", Role.PREDICT, lifetime=timedelta(seconds=-1))
    add_token(settings, token)
    assert refusal(verifier, f"Bearer {text}").code == "token_expired"


def test_changes_of_the_file_are_seen(
    verifier: TokenVerifier, header: str, settings: Settings
) -> None:
    verifier.holder(header)
    late, text = mint("late", Role.ADMIN)
    add_token(settings, late)
    assert verifier.holder(f"Bearer {text}").name == "late"
    revoke_token(settings, "viewer")
    assert refusal(verifier, header).code == "token_revoked"


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
    verifier: TokenVerifier,
    header: str,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    verifier.holder(header)
    fault(token_file(settings))
    for _ in range(3):
        problem = refusal(verifier, header)
        assert (problem.status, problem.code) == (503, "tokens_unreadable")
    assert caplog.text.count("Nobody is let in") == 1
    assert str(token_file(settings)) not in str(problem), "paths are the log's business"


def test_a_mended_file_opens_again(
    verifier: TokenVerifier, header: str, settings: Settings
) -> None:
    path = token_file(settings)
    content = path.read_bytes()
    path.write_bytes(b"{")
    refusal(verifier, header)
    path.write_bytes(content)
    assert verifier.holder(header).name == "viewer"
