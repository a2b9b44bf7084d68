"""What one worker tells of the others."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from pipelines.release.predictor import Predictor
from serving.champions import Champions, WorkerNotes
from serving.schemas import WorkerInfo, WorkerModel

VERSION_3 = [WorkerModel(dataset="phantom", model_version=3, loaded_at="2026-01-01T00:00:00")]


@pytest.fixture
def sibling() -> Iterator["subprocess.Popen[str]"]:
    """Another process that runs."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1, text=True) as process:
        yield process
        process.communicate("\n")


def test_a_worker_that_took_a_model_says_so(tmp_path: Path, predictor: Predictor) -> None:
    champions = Champions("pinned", standing=WorkerNotes(tmp_path))
    assert champions.report().workers == [WorkerInfo(pid=os.getpid(), models=[], refused=[])]
    champions.take(predictor)
    ((worker,),) = [champions.report().workers]
    assert worker.models[0].model_version == predictor.version


def test_alone_it_tells_of_itself(predictor: Predictor) -> None:
    champions = Champions("pinned")
    champions.take(predictor)
    assert [worker.pid for worker in champions.report().workers] == [os.getpid()]


def test_living_workers_of_the_same_service_are_told(
    tmp_path: Path, sibling: "subprocess.Popen[str]"
) -> None:
    WorkerNotes(tmp_path).write(WorkerInfo(pid=sibling.pid, models=VERSION_3, refused=[]))
    WorkerNotes(tmp_path).write(WorkerInfo(pid=os.getpid(), models=[], refused=[]))
    told = {worker.pid: worker.models for worker in WorkerNotes(tmp_path).workers()}
    assert told == {sibling.pid: VERSION_3, os.getpid(): []}


def test_a_dead_worker_vanishes_with_its_file(
    tmp_path: Path, sibling: "subprocess.Popen[str]"
) -> None:
    standing = WorkerNotes(tmp_path)
    standing.write(WorkerInfo(pid=sibling.pid, models=VERSION_3, refused=[]))
    sibling.kill()
    assert _wait(lambda: psutil.Process(sibling.pid).status() == psutil.STATUS_ZOMBIE)
    assert standing.workers() == []
    assert list(tmp_path.iterdir()) == []


def test_so_does_one_whose_end_was_noticed(
    tmp_path: Path, sibling: "subprocess.Popen[str]"
) -> None:
    standing = WorkerNotes(tmp_path)
    standing.write(WorkerInfo(pid=sibling.pid, models=VERSION_3, refused=[]))
    sibling.kill()
    sibling.wait()
    assert standing.workers() == []
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_was_given_a_dead_worker_s_id_is_not_taken_for_it(tmp_path: Path) -> None:
    standing = WorkerNotes(tmp_path)
    standing.write(WorkerInfo(pid=os.getpid(), models=VERSION_3, refused=[]))
    _change(tmp_path / f"{os.getpid()}.json", born=1.5)
    assert standing.workers() == []


def test_another_service_s_workers_are_not_ours_and_stay(tmp_path: Path) -> None:
    standing = WorkerNotes(tmp_path)
    standing.write(WorkerInfo(pid=os.getpid(), models=VERSION_3, refused=[]))
    _change(tmp_path / f"{os.getpid()}.json", parent=os.getppid() + 1)
    assert standing.workers() == []
    assert len(list(tmp_path.iterdir())) == 1


def test_a_spoiled_note_or_a_folder_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "7.json").write_text("{", "utf-8")
    assert WorkerNotes(tmp_path).workers() == []
    (tmp_path / "file").touch()
    WorkerNotes(tmp_path / "file").write(WorkerInfo(pid=os.getpid(), models=[], refused=[]))


def _wait(condition: Callable[[], bool]) -> bool:
    for _ in range(500):
        if condition():
            return True
        time.sleep(0.01)
    return False


def _change(file: Path, **fields: float) -> None:
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | fields), "utf-8")
