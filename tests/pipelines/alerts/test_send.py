"""Told once, by whomever it is seen; kept while nobody takes it; never in the way."""

import json
import logging
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipelines.alerts import send as sending
from pipelines.alerts.alert import Alert
from pipelines.alerts.book import DAYS_KEPT, DAYS_OPEN, DELAYS, SECONDS_HELD, Book
from pipelines.alerts.channel import open_channels
from pipelines.alerts.delivery import deliver, give_up_on_old
from pipelines.alerts.log import alert_log, latest
from pipelines.alerts.send import resolve, send
from pipelines.settings import Settings
from stack.environment import settings_environment
from tests.pipelines.alerts.receivers import HOST, Hook, hook_server

SEND = """
import sys
from pipelines.alerts.alert import Alert
from pipelines.alerts.send import send
from pipelines.settings import get_settings

send(get_settings(), Alert.model_validate_json(sys.argv[1]))
"""


def point_at(settings: Settings, url: str) -> None:
    assert settings.alert_webhook_url_file is not None
    settings.alert_webhook_url_file.write_text(url)


def deliver_again(settings: Settings) -> None:
    time.sleep(DELAYS[0] + 0.1)
    deliver(settings, seconds=5)


def worse(alert: Alert) -> Alert:
    return alert.model_copy(update={"severity": "critical"})


def test_a_trouble_is_told_once_however_often_it_is_seen(
    settings: Settings, hook: Hook, drift: Alert
) -> None:
    for _ in range(3):
        send(settings, drift)
    send(settings, drift.model_copy(update={"dataset": "brain_mri"}))

    assert hook.titles == [("begun", drift.title)] * 2
    assert [notice.state for notice in latest(settings, 10)] == ["begun"] * 2


def test_it_is_told_again_when_it_goes_on_for_long(settings: Settings, drift: Alert) -> None:
    now, day = time.time(), 24 * 3600
    for at in (now, now + day - 60, now + day + 60):
        with Book(settings, now=at) as book:
            book.report(drift, ["webhook"])
    with Book(settings) as book:
        states = [(w.notice.state, w.notice.seen) for w in book.waiting()]

    assert states == [("begun", 1), ("goes on", 2)]


def test_it_is_told_at_once_when_it_becomes_worse_but_not_when_it_becomes_better(
    settings: Settings, hook: Hook, drift: Alert
) -> None:
    for alert in (drift, worse(drift), drift, worse(drift)):
        send(settings, alert)

    assert [post.json["severity"] for post in hook.posts] == ["warning", "critical"]


def test_what_nobody_sees_any_more_is_forgotten_and_news_when_it_comes_back(
    settings: Settings, drift: Alert
) -> None:
    now, day = time.time(), 24 * 3600
    with Book(settings, now=now - (DAYS_OPEN + 1) * day) as book:
        book.report(drift, ["webhook"])
        assert len(book.open_troubles()) == 1
    with Book(settings, now=now) as book:
        assert book.open_troubles() == []
        book.report(drift, ["webhook"])
        assert [waiting.notice.state for waiting in book.waiting()] == ["begun", "begun"]


def test_that_it_is_over_is_told_once_and_only_if_it_was_told(
    settings: Settings, hook: Hook, drift: Alert
) -> None:
    resolve(settings, drift.key)
    send(settings, drift)
    resolve(settings, drift.key)
    resolve(settings, drift.key)
    send(settings, drift)

    assert [state for state, _ in hook.titles] == ["begun", "over", "begun"]


def test_several_processes_that_see_it_at_once_tell_it_once(
    settings: Settings, hook: Hook, drift: Alert
) -> None:
    command = [sys.executable, "-c", SEND, drift.model_dump_json()]
    environment = settings_environment(settings) | {"no_proxy": HOST}
    both = [subprocess.Popen(command, env=environment) for _ in range(2)]

    assert [process.wait(60) for process in both] == [0, 0]
    assert len(hook.posts) == 1
    assert len(alert_log(settings).read_text().splitlines()) == 1


def test_a_book_that_many_open_for_the_first_time_is_made_once(settings: Settings) -> None:
    def look(_: int) -> int:
        with Book(settings) as book:
            return len(book.waiting())

    with ThreadPoolExecutor(16) as threads:
        assert set(threads.map(look, range(64))) == {0}


def test_many_threads_that_see_it_at_once_tell_it_once(
    settings: Settings, hook: Hook, drift: Alert
) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: send(settings, drift), range(16)))

    assert len(hook.posts) == 1


def test_what_is_not_taken_is_kept_and_delivered_in_order_once_the_server_is_back(
    settings: Settings, hook: Hook, drift: Alert, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "SECONDS", 0.5)
    hook.status = 503
    send(settings, drift)
    resolve(settings, drift.key)
    with Book(settings) as book:
        first, second = book.waiting()
    assert "503" in str(first.error)
    assert (first.notice.state, second.notice.state) == ("begun", "over")

    hook.status = 200
    hook.posts.clear()
    deliver_again(settings)

    assert [state for state, _ in hook.titles] == ["begun", "over"]
    with Book(settings) as book:
        assert book.waiting() == []


def test_that_it_is_over_waits_for_that_it_has_begun(settings: Settings, drift: Alert) -> None:
    now = time.time()
    with Book(settings, now=now) as book:
        book.report(drift, ["webhook"])
        begun = book.take("webhook")
        assert begun is not None
        book.failed(begun, "503")
        book.close(drift.key, ["webhook"])
        assert book.take("webhook") is None
    with Book(settings, now=now + DELAYS[0] + 1) as book:
        again = book.take("webhook")
        assert again is not None
        assert again.notice.state == "begun"
        book.delivered(again)
        over = book.take("webhook")
        assert over is not None
        assert over.notice.state == "over"


def test_a_server_that_is_not_there_is_asked_again_when_it_is(
    settings: Settings, drift: Alert, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "SECONDS", 0.5)
    with hook_server() as gone:
        pass
    point_at(settings, gone.url)
    send(settings, drift)
    with hook_server(port=gone.port) as back:
        deliver_again(settings)

    assert back.titles == [("begun", drift.title)]


def test_a_server_that_never_answers_holds_nobody_up(
    settings: Settings, drift: Alert, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "SECONDS", 0.5)
    with socket.create_server((HOST, 0)) as silent:
        point_at(settings, f"http://{HOST}:{silent.getsockname()[1]}/")
        began = time.monotonic()
        send(settings, drift)
        assert time.monotonic() - began < 3
    with Book(settings) as book:
        assert [waiting.channel for waiting in book.waiting()] == ["webhook"]


def test_what_a_killed_process_was_delivering_is_delivered_by_another(
    settings: Settings, drift: Alert
) -> None:
    now = time.time()
    with Book(settings, now=now) as book:
        book.report(drift, ["webhook"])
        assert book.take("webhook")
    with Book(settings, now=now + SECONDS_HELD - 1) as book:
        assert book.take("webhook") is None
    with Book(settings, now=now + SECONDS_HELD + 1) as book:
        assert book.take("webhook")


def test_what_nobody_takes_for_days_is_said_in_the_log(
    settings: Settings, drift: Alert, caplog: pytest.LogCaptureFixture
) -> None:
    with Book(settings, now=time.time() - (DAYS_KEPT + 1) * 86400) as book:
        book.report(drift, ["webhook"])
    give_up_on_old(settings)

    assert drift.title in caplog.text
    with Book(settings) as book:
        assert book.waiting() == []


def test_where_nothing_can_be_written_it_is_told_all_the_same(
    settings: Settings, hook: Hook, drift: Alert
) -> None:
    settings.home.write_text("a file where the folder should be")
    send(settings, drift)
    resolve(settings, drift.key)

    assert hook.titles == [("begun", drift.title)]


def test_no_trouble_with_telling_reaches_who_tells(
    settings: Settings, drift: Alert, caplog: pytest.LogCaptureFixture
) -> None:
    (settings.home / "alerts").mkdir(parents=True)
    (settings.home / "alerts" / "alerts.sqlite").write_bytes(b"no database" * 1000)
    send(settings, drift)
    resolve(settings, drift.key)

    assert "book of alerts" in caplog.text


def test_no_secret_reaches_a_log_the_outbox_or_a_process(
    settings: Settings,
    hook: Hook,
    drift: Alert,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(sending, "SECONDS", 0.5)
    secret = settings.home.parent / "secret"
    secret.write_text("s3cret-word")
    settings = settings.model_copy(
        update={"alert_webhook_secret_file": secret, "alert_webhook_auth": "bearer"}
    )
    send(settings, drift)
    assert hook.posts[0].headers["Authorization"] == "Bearer s3cret-word"
    for hook.status in (302, 500):
        hook.location = "http://127.0.0.1:1/elsewhere"
        send(settings, drift.model_copy(update={"subject": str(hook.status)}))
    with Book(settings) as book:
        kept = [*book.waiting(), *book.open_troubles()]

    everything = [caplog.text, repr(settings), repr(kept), repr(open_channels(settings))]
    everything += [json.dumps(settings_environment(settings)), alert_log(settings).read_text()]
    assert "s3cret" not in "".join(everything)


def test_only_the_owner_can_read_what_was_told(settings: Settings, drift: Alert) -> None:
    send(settings, drift)

    assert oct((settings.home / "alerts").stat().st_mode & 0o777) == "0o700"


def test_a_line_that_was_cut_off_does_not_hide_the_others(settings: Settings, drift: Alert) -> None:
    send(settings, drift)
    with Path(alert_log(settings)).open("a") as file:
        file.write('{"alert": {"kind"\n')
    resolve(settings, drift.key)

    assert [notice.state for notice in latest(settings, 10)] == ["begun", "over"]
