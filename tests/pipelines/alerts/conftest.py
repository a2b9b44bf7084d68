"""An installation that tells of trouble to servers on this machine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.alerts.alert import Alert
from pipelines.alerts.book import make_notice
from pipelines.alerts.notice import Notice
from pipelines.settings import Settings
from tests.pipelines.alerts.receivers import Hook, hook_server


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def hook() -> Iterator[Hook]:
    """A webhook's receiver."""
    with hook_server() as hook:
        yield hook


@pytest.fixture
def settings(tmp_path: Path, hook: Hook) -> Settings:
    """An installation with that webhook."""
    url = tmp_path / "hook-url"
    url.write_text(hook.url + "\n")
    return Settings(home=tmp_path / "home", alert_webhook_url_file=url)


@pytest.fixture
def drift() -> Alert:
    """An alert."""
    return Alert(
        kind="drift",
        severity="warning",
        dataset="phantom",
        subject="answers",
        title="phantom: answers drift",
        text="3 of the last 5 windows.",
        link="http://127.0.0.1:8080/dags/monitor_phantom",
    )


@pytest.fixture
def notice(drift: Alert) -> Notice:
    """That it has begun."""
    return make_notice(drift, "begun", since=1_800_000_000, at=1_800_000_000)
