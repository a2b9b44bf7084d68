"""``medloop alerts``: listed, and tried."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.alerts.alert import Alert
from pipelines.alerts.book import Book
from pipelines.alerts.send import resolve, send
from pipelines.cli import main
from pipelines.cli.alerts import summary
from pipelines.settings import Settings, get_settings
from tests.pipelines.alerts.receivers import HOST, Hook, hook_server


@pytest.fixture
def hook() -> Iterator[Hook]:
    with hook_server() as hook:
        yield hook


@pytest.fixture
def settings(
    installation: Settings, hook: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """An installation with a webhook."""
    assert not installation.alert_webhook_url_file
    url = tmp_path / "hook-url"
    url.write_text(hook.url)
    monkeypatch.setenv("no_proxy", HOST)
    monkeypatch.setenv("MEDLOOP_ALERT_WEBHOOK_URL_FILE", str(url))
    get_settings.cache_clear()
    return get_settings()


def alert(subject: str) -> Alert:
    return Alert(kind="drift", severity="warning", subject=subject, title=subject, text="")


def medloop(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["medloop", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_a_new_installation_has_nothing_to_tell(
    installation: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert medloop(monkeypatch, "alerts") == 0
    assert "Nothing is wrong" in capsys.readouterr().out
    assert summary(installation) is None
    assert installation.home.exists()


def test_it_lists_what_is_open_what_was_told_and_what_waits(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    send(settings, alert("gone by"))
    resolve(settings, alert("gone by").key)
    with Book(settings) as book:
        book.report(alert("kept back"), ["webhook"])

    assert medloop(monkeypatch, "alerts") == 0
    open_, _, told = capsys.readouterr().out.partition("Told")
    told, _, waits = told.partition("Not delivered yet")
    assert ("kept back" in open_, "gone by" in open_) == (True, False)
    assert ("kept back" in told, told.count("gone by")) == (False, 2)
    assert ("kept back" in waits, "gone by" in waits) == (True, False)
    assert summary(settings) == "1 open alerts, 1 not delivered yet: medloop alerts"


def test_a_book_that_is_damaged_is_told_of_in_one_line(
    installation: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (installation.home / "alerts").mkdir(parents=True)
    (installation.home / "alerts" / "alerts.sqlite").write_bytes(b"no database" * 1000)

    assert medloop(monkeypatch, "alerts") == 1
    assert "move the file away" in " ".join(capsys.readouterr().err.split())
    assert "move the file away" in (summary(installation) or "")


def test_a_trial_tells_what_each_channel_made_of_it(
    settings: Settings,
    hook: Hook,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert medloop(monkeypatch, "alerts", "test") == 0
    said = capsys.readouterr().out
    assert hook.titles == [("test", "A test: alerts of Medloop arrive here")]
    assert "✓ webhook: taken" in said
    assert "e-mail: not set up (MEDLOOP_ALERT_EMAIL_TO" in said
    with Book(settings) as book:
        assert (book.open_troubles(), book.waiting()) == ([], [])


def test_a_trial_that_fails_says_why_and_ends_with_1(
    settings: Settings,
    hook: Hook,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hook.status = 410
    assert medloop(monkeypatch, "alerts", "test") == 1
    told = capsys.readouterr()
    assert "webhook: The webhook answers 410 Gone." in told.err
    assert "✓ log: taken" in told.out
    assert settings.home.exists()
