"""A process that starts anew first ends what its killed predecessor left behind, and only that."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stack import launch

Start = Callable[[Path, str], subprocess.Popen[bytes]]


def environment(home: Path, part: str) -> dict[str, str]:
    return {**os.environ, launch.HOME: str(home), launch.PART: part}


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts processes that look like parts of a stack."""
    started = []

    def start_one(home: Path, part: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(["sleep", "60"], env=environment(home, part))
        started.append(process)
        return process

    yield start_one
    for process in started:
        process.kill()
        process.wait()


def test_what_a_predecessor_left_behind_is_ended_and_all_else_lives(
    tmp_path: Path, start: Start
) -> None:
    left = start(tmp_path / "home", "mlflow")
    others = [start(tmp_path / "home", "service"), start(tmp_path / "other home", "mlflow")]
    ended = subprocess.run(
        [sys.executable, "-P", str(launch.__file__), "echo", "started anew"],
        env=environment(tmp_path / "home", "mlflow"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout == "started anew\n"
    assert left.wait(10) < 0
    assert [process.poll() for process in others] == [None, None]


def test_all_parts_of_a_home_are_found_together(tmp_path: Path, start: Start) -> None:
    ours = {start(tmp_path, part).pid for part in ("mlflow", "service")}
    start(tmp_path / "other", "mlflow")
    assert {process.pid for process in launch.left_behind(str(tmp_path))} == ours


def test_a_process_is_under_way_until_it_has_become_its_command(
    tmp_path: Path, start: Start
) -> None:
    launching = [sys.executable, "-c", "input()", str(launch.__file__)]
    with subprocess.Popen(launching, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert launch.is_under_way(process.pid)
    assert launch.is_under_way(process.pid), "it has ended: nobody answers in its name"
    become = start(tmp_path, "mlflow").pid
    deadline = time.monotonic() + 5
    while launch.is_under_way(become):
        assert time.monotonic() < deadline
