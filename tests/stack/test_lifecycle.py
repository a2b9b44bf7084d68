"""One small part, for real: started, stopped, killed, broken. Nothing lost, nothing left behind."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import stack
from pipelines import database
from pipelines.errors import StackError
from pipelines.settings import Settings
from stack import launch
from stack.control import revive
from stack.testing import isolated_settings
from tests.stack.killing import await_return, kill, supervisord

PARTS = ["postgres"]


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """An installation of which nothing runs yet; whatever a test starts is stopped."""
    settings = isolated_settings(tmp_path / "home")
    yield settings
    stack.down(settings)


def pid_of(settings: Settings, name: str) -> int | None:
    return next(part.pid for part in stack.status(settings) if part.name == name)


def processes_of(home: Path) -> list[psutil.Process]:
    """Every process whose command names the home, or whose environment does."""
    named = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and str(home) in " ".join(process.cmdline()):
                named.append(process)
        except psutil.Error:
            continue
    return named + launch.left_behind(str(home))


def test_down_leaves_no_process_and_up_finds_all_data_again(settings: Settings) -> None:
    stack.up(settings, PARTS)
    database.query(settings, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert processes_of(settings.home)

    stack.down(settings)
    assert processes_of(settings.home) == []
    assert {part.state for part in stack.status(settings)} == {"stopped"}

    stack.up(settings, PARTS)
    assert database.query(settings, "SELECT answer FROM kept") == "42"


def test_down_without_up_does_nothing(settings: Settings) -> None:
    stack.down(settings)
    assert {part.state for part in stack.status(settings)} == {"stopped"}


def test_a_home_too_deep_for_sockets_works_all_the_same(tmp_path: Path) -> None:
    settings = isolated_settings(tmp_path / ("a home, 100% deep " * 6).strip())
    try:
        stack.up(settings, PARTS)
        assert database.query(settings, "SELECT 1") == "1"
    finally:
        stack.down(settings)
    assert processes_of(settings.home) == []


def test_up_recovers_from_a_killed_supervisor(settings: Settings) -> None:
    stack.up(settings, PARTS)
    database.query(settings, "CREATE TABLE kept AS SELECT 42 AS answer")
    orphan = psutil.Process(pid_of(settings, "postgres"))
    supervisor = orphan.parent()
    assert supervisor is not None
    supervisor.send_signal(signal.SIGKILL)
    supervisor.wait(10)
    assert orphan.is_running()

    stack.up(settings, PARTS)
    assert not orphan.is_running()
    assert database.query(settings, "SELECT answer FROM kept") == "42"


def test_the_watch_brings_a_killed_supervisor_back_and_all_it_kept_alive(
    settings: Settings,
) -> None:
    stack.up(settings, [*PARTS, "watch"])
    database.query(settings, "CREATE TABLE kept AS SELECT 42 AS answer")
    before = {name: pid_of(settings, name) for name in (*PARTS, "watch")}
    killed = supervisord(settings)
    kill(killed)

    for name, pid in before.items():
        await_return(settings, name, killed=pid or 0)
    assert supervisord(settings).pid != killed.pid
    assert database.query(settings, "SELECT answer FROM kept") == "42"
    kept_alive = {p.pid for p in supervisord(settings).children(recursive=True)}
    assert {p.pid for p in launch.left_behind(str(settings.home))} <= kept_alive


def test_a_supervisor_that_runs_is_not_brought_back(settings: Settings) -> None:
    assert revive(settings) == []
    stack.up(settings, PARTS)
    before = pid_of(settings, "postgres")
    assert revive(settings) == []
    assert pid_of(settings, "postgres") == before


def test_down_ends_what_a_killed_supervisor_left_behind(settings: Settings) -> None:
    stack.up(settings, PARTS)
    supervisor = psutil.Process(pid_of(settings, "postgres")).parent()
    assert supervisor is not None
    supervisor.send_signal(signal.SIGKILL)
    supervisor.wait(10)

    stack.down(settings)
    assert processes_of(settings.home) == []


def test_a_part_that_cannot_start_is_an_error_with_the_end_of_its_log(settings: Settings) -> None:
    stack.up(settings, PARTS)
    stack.down(settings)
    (settings.home / "postgres" / "data" / "global" / "pg_control").unlink()
    with pytest.raises(StackError, match=r"(?s)postgres .*postgres\.log.*pg_control"):
        stack.up(settings, PARTS)
    deadline = time.monotonic() + 30
    while {p.name: p.state for p in stack.status(settings)}["postgres"] != "failed":
        assert time.monotonic() < deadline, "it is tried again and again, and fails in between"


def test_a_database_of_another_release_is_refused_with_what_to_do(settings: Settings) -> None:
    data = settings.home / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("17\n")
    with pytest.raises(StackError, match=r"made by PostgreSQL 17; this is PostgreSQL 18.*restore"):
        stack.up(settings, PARTS)


def test_a_taken_port_is_an_error_before_anything_has_started(settings: Settings) -> None:
    with (
        socket.create_server((settings.host, settings.mlflow_port)),
        pytest.raises(StackError, match=rf"{settings.mlflow_port}.*pid {os.getpid()}.*MLFLOW_PORT"),
    ):
        stack.up(settings, ["mlflow"])
    assert processes_of(settings.home) == []


def test_status_of_a_stopped_part_names_who_holds_its_port(settings: Settings) -> None:
    with socket.create_server((settings.host, settings.mlflow_port)):
        parts = {part.name: part for part in stack.status(settings)}
    assert parts["mlflow"].state == "stopped"
    assert f"pid {os.getpid()}" in str(parts["mlflow"].detail)


def test_a_part_with_changed_settings_is_started_again_and_others_stay(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.up(settings, PARTS)
    before = pid_of(settings, "postgres")

    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    stack.up(settings, PARTS)
    assert pid_of(settings, "postgres") == before

    changed = settings.model_copy(update={"champion_poll_seconds": 1.0})
    stack.up(changed, PARTS)
    assert pid_of(changed, "postgres") not in (None, before)
    assert database.query(changed, "SELECT 1") == "1"


def test_an_unknown_part_is_refused(settings: Settings) -> None:
    with pytest.raises(StackError, match="no part 'spark'"):
        stack.restart(settings, "spark")
