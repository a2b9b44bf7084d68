"""The watch has promotions checked, one check at a time, for as long as they are watched."""

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipelines.release.promotions import Promotion, note
from pipelines.settings import Settings
from stack.watch import promotions
from stack.watch.promotions import PromotionChecks

PROMOTION = Promotion(dataset="tiny", version=2, previous=1)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


@pytest.fixture
def checks(settings: Settings) -> PromotionChecks:
    """Each check leaves a file, and waits until it is gone."""
    code = (
        "import pathlib, time; run = pathlib.Path('runs'); run.mkdir(exist_ok=True)\n"
        "mine = run / str(time.time_ns()); mine.touch()\n"
        "while mine.exists(): time.sleep(0.01)"
    ).replace("'runs'", repr(str(settings.home / "runs")))
    return PromotionChecks(settings, (sys.executable, "-S", "-c", code))


def running(settings: Settings) -> list[Path]:
    return list((settings.home / "runs").glob("*"))


def wait_for_a_run(settings: Settings) -> Path:
    deadline = time.monotonic() + 60
    while not running(settings):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return running(settings)[0]


def _process(checks: PromotionChecks) -> "subprocess.Popen[bytes]":
    assert checks._check is not None
    return checks._check


def test_a_check_runs_while_there_is_something_to_watch_and_never_two(
    settings: Settings, checks: PromotionChecks, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks.round()
    assert checks._check is None
    note(settings, PROMOTION)
    checks.round()
    first = wait_for_a_run(settings)

    monkeypatch.setattr(promotions, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(promotions, "OF_AGE", 0.0)
    checks.round()
    assert running(settings) == [first]
    first.unlink()
    _process(checks).wait(60)

    note(settings, PROMOTION.model_copy(update={"outcome": "rolled back to version 1"}))
    checks.round()
    assert _process(checks).poll() == 0
    note(settings, PROMOTION)
    checks.round()
    assert _process(checks).poll() is None

    monkeypatch.setattr(promotions, "MOST_SECONDS", 0.0)
    checks.round()
    assert _process(checks).wait(60) < 0


def test_it_is_checked_less_often_the_older_it_is() -> None:
    def pause(age: timedelta) -> float:
        return promotions._pause(PROMOTION.model_copy(update={"at": datetime.now(UTC) - age}))

    assert pause(timedelta(minutes=5)) == 30
    assert pause(timedelta(hours=2)) == pytest.approx(360, abs=1)


def test_a_command_that_cannot_be_started_is_no_end_of_the_watch(settings: Settings) -> None:
    note(settings, PROMOTION)
    PromotionChecks(settings, ("/no/such/command",)).round()
