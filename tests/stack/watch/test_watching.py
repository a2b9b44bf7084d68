"""The watch, for real: a part that breaks is told of, once, and so is its return."""

import signal
import time
from collections.abc import Callable, Iterator

import httpx
import psutil
import pytest

import stack
from pipelines.alerts.alert import Alert
from pipelines.alerts.book import Book
from pipelines.settings import Settings
from stack.testing import running_stack
from tests.pipelines.alerts.receivers import Hook, hook_server

SECONDS = 60
"""How long anything may take on a busy machine."""


@pytest.fixture(scope="module")
def hook() -> Iterator[Hook]:
    with hook_server() as hook:
        yield hook


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, hook: Hook) -> Iterator[Settings]:
    home = tmp_path_factory.mktemp("watched")
    url = home / "hook-url"
    url.write_text(hook.url)
    fields = {"watch_seconds": 0.3, "watch_disk_share": 0.0, "watch_disk_gigabytes": 0.0}
    parts = ["postgres", "watch"]
    with running_stack(parts, home=home, alert_webhook_url_file=url, **fields) as settings:
        yield settings


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def process(settings: Settings, name: str) -> psutil.Process | None:
    pid = next(part.pid for part in stack.status(settings) if part.name == name)
    return psutil.Process(pid) if pid else None


def kill(settings: Settings, name: str) -> None:
    """End a process hard, as nobody intended."""
    running = process(settings, name)
    assert running is not None
    running.send_signal(signal.SIGKILL)
    running.wait(SECONDS)


def told(settings: Settings) -> str:
    return httpx.get(f"http://127.0.0.1:{settings.watch_port}/metrics", trust_env=False).text


def test_a_part_that_cannot_start_is_told_of_once_even_by_a_second_watch(
    settings: Settings, hook: Hook
) -> None:
    configuration = settings.home / "postgres" / "data" / "postgresql.conf"
    good = configuration.read_text()
    configuration.write_text("port = no number\n")
    kill(settings, "postgres")
    wait_for(lambda: hook.posts)
    assert 'medloop_part_up{part="postgres",process="postgres"} 0.0' in told(settings)

    kill(settings, "watch")
    configuration.write_text(good)
    stack.restart(settings, "postgres")
    wait_for(lambda: len(hook.posts) > 1)

    assert [(post.json["state"], post.json["key"]) for post in hook.posts] == [
        ("begun", "part_down/-/postgres"),
        ("over", "part_down/-/postgres"),
    ]
    wait_for(lambda: 'medloop_part_up{part="postgres",process="postgres"} 1.0' in told(settings))


def test_what_is_stopped_or_started_on_purpose_is_no_trouble(
    settings: Settings, hook: Hook
) -> None:
    before = len(hook.posts)
    stack.restart(settings, "postgres")
    looks = _looks(settings)
    wait_for(lambda: _looks(settings) >= looks + 4)

    assert len(hook.posts) == before


def test_what_nobody_could_deliver_is_delivered_by_the_watch(
    settings: Settings, hook: Hook
) -> None:
    alert = Alert(kind="drift", severity="info", subject="left", title="left behind", text="")
    with Book(settings) as book:
        book.report(alert, ["webhook"])
    wait_for(lambda: ("begun", "left behind") in hook.titles)
    with Book(settings) as book:
        wait_for(lambda: not book.waiting())


def test_it_takes_little(settings: Settings) -> None:
    watch = process(settings, "watch")
    assert watch is not None
    looks, times = _looks(settings), watch.cpu_times()
    wait_for(lambda: _looks(settings) >= looks + 5)
    spent = watch.cpu_times()
    used = spent.user + spent.system - times.user - times.system

    assert watch.memory_info().rss < 100e6
    assert used / (_looks(settings) - looks) < 0.15


def _looks(settings: Settings) -> int:
    line = next(
        line
        for line in told(settings).splitlines()
        if line.startswith('medloop_watch_looks_total{outcome="ok"}')
    )
    return int(float(line.split()[-1]))
