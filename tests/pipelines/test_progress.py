import logging
from itertools import count
from threading import Event, Timer

import pytest

from pipelines import progress
from pipelines.progress import track, watch


@pytest.mark.parametrize("terminal", [False, True])
def test_every_item_is_handed_on(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    assert list(track(iter("abc"), total=3, what="Spelling")) == ["a", "b", "c"]


def test_a_log_gets_a_line_now_and_then_and_no_bar(
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0)
    with caplog.at_level(logging.INFO, logger=progress.__name__):
        list(track(range(2), total=2000, what="Counting"))
    assert caplog.messages == ["Counting: 0 of 2,000", "Counting: 1 of 2,000"]
    assert capsys.readouterr().err == ""


def test_fast_work_is_not_talked_about(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger=progress.__name__):
        list(track(range(100), total=100, what="Counting"))
    assert caplog.messages == []


@pytest.mark.parametrize(("terminal", "lines"), [(False, True), (True, False)])
def test_work_done_elsewhere_is_watched_until_it_ends(
    terminal: bool,
    lines: bool,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.01)
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LOOKS", 0.01)
    ended, asked = Event(), count()
    Timer(0.2, ended.set).start()
    with caplog.at_level(logging.INFO, logger=progress.__name__):
        watch(lambda: next(asked), total=2000, what="Working", ended=ended)
    assert next(asked) > 1
    assert (caplog.messages[:2] == ["Working: 0 of 2,000", "Working: 1 of 2,000"]) == lines
