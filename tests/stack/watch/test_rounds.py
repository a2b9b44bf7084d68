"""A look of the watch where nothing else runs: a full disk is told of, whatever happens."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.alerts.book import Book
from pipelines.settings import Settings
from stack.testing import isolated_settings
from stack.watch.exposition import Exposition
from stack.watch.rounds import Watch
from tests.pipelines.alerts.receivers import HOST, Hook, hook_server


@pytest.fixture
def hook() -> Iterator[Hook]:
    with hook_server() as hook:
        yield hook


@pytest.fixture
def settings(tmp_path: Path, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An installation whose disk can never have enough free."""
    monkeypatch.setenv("no_proxy", HOST)
    url = tmp_path / "hook-url"
    url.write_text(hook.url)
    (tmp_path / "home").mkdir()
    return isolated_settings(
        tmp_path / "home", alert_webhook_url_file=url, watch_disk_gigabytes=1e9
    )


def look(settings: Settings, *, times: int = 1) -> dict[str, float]:
    """What is told after some looks of a new watch: metric → its first value."""
    exposition = Exposition(settings.metrics)
    watch = Watch(settings, exposition)
    for _ in range(times):
        watch.round()
    return {family.name: s.value for family in exposition.collect() for s in family.samples[:1]}


def test_a_full_disk_is_told_of_once_and_when_there_is_room_again(
    settings: Settings, hook: Hook
) -> None:
    seen = look(settings, times=2)
    assert seen["medloop_alerts_open"] == 1
    assert seen["medloop_supervisor_up"] == 0

    look(settings.model_copy(update={"watch_disk_gigabytes": 0, "watch_disk_share": 0}))

    assert [(post.json["state"], post.json["kind"]) for post in hook.posts] == [
        ("begun", "disk_full"),
        ("over", "disk_full"),
    ]


def test_it_is_told_of_where_the_book_is_damaged_too(settings: Settings, hook: Hook) -> None:
    with Book(settings):
        pass
    (settings.home / "alerts" / "alerts.sqlite").write_bytes(b"no database" * 1000)
    seen = look(settings, times=2)

    assert len(hook.posts) == 1
    assert seen["medloop_watch_looks"] == 2
