"""``medloop token``: made, listed, revoked."""

from pathlib import Path

import pytest

from pipelines.access.store import read_tokens, token_file
from pipelines.access.tokens import parse
from pipelines.cli import main
from pipelines.settings import Settings


def medloop(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["medloop", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_a_new_token_stands_alone_on_standard_output(
    installation: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert medloop(monkeypatch, "token", "new", "viewer", "--expires", "90d") == 0
    told = capsys.readouterr()
    presented = parse(told.out.strip())
    assert presented is not None
    (token,) = read_tokens(token_file(installation))
    assert token.has_secret(presented.secret)
    assert token.expires_at is not None
    assert (token.expires_at - token.created_at).days == 90
    assert presented.secret not in told.err


def test_a_token_is_listed_without_its_secret_and_revoked(
    installation: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    medloop(monkeypatch, "token", "new", "viewer", "--role", "upload")
    text = capsys.readouterr().out.strip()
    assert medloop(monkeypatch, "token", "revoke", "viewer") == 0
    capsys.readouterr()
    medloop(monkeypatch, "token", "list")
    listed = capsys.readouterr().out
    assert "upload" in listed
    assert "revoked" in listed
    assert text not in listed
    assert read_tokens(token_file(installation))[0].revoked_at is not None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("new", "Viewer"), "lower-case"),
        (("new", "viewer", "--expires", "soon"), "'soon' is no length of time"),
        (("new", "viewer", "--expires", "0d"), "'0d' is no length of time"),
        (("revoke", "nobody"), "no token 'nobody'"),
    ],
)
def test_mistakes_are_told(
    installation: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    said: str,
    tmp_path: Path,
) -> None:
    assert installation.home.is_relative_to(tmp_path)
    assert medloop(monkeypatch, "token", *arguments) == 1
    assert said in capsys.readouterr().err.replace("\n", " ")
