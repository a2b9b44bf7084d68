"""The loop as its users live it, by the real scheduler on the real parts, in order."""

import json
import os
import shutil
import signal
import threading
import time
from pathlib import Path

import psutil
import pytest

import stack
from pipelines.data.phantom import generate
from pipelines.errors import MedloopError
from pipelines.storage import open_store

from .conftest import SPEC, Loop

pytestmark = pytest.mark.timeout(900)


def test_one_command_leads_from_a_folder_to_an_explained_answer(loop: Loop) -> None:
    told = loop.medloop("run", "tiny")

    assert "version 1 is the champion" in told
    assert "One question" in told
    answer = loop.service.predict(loop.an_image("round_lesion"), dataset="tiny")
    assert answer["model_version"] == 1
    assert set(answer["probabilities"]) == {c["name"] for c in SPEC["classes"]}
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    overlay = loop.service.gradcam(loop.an_image("round_lesion"), dataset="tiny")
    assert overlay.startswith(b"\x89PNG")
    assert (loop.settings.home / "data_docs" / "index.html").is_file()
    assert "duplicates and leaks" in (loop.settings.home / "reports" / "tiny-leaks.html").read_text(
        "utf-8"
    )
    run = loop.last_run()
    assert run.state == "success"
    assert run.state_of("promote") == "success"
    assert run.state_of("refuse") == "skipped"


def test_a_rerun_with_nothing_new_ends_within_a_minute_and_trains_nothing(loop: Loop) -> None:
    began = time.monotonic()
    told = loop.medloop("retrain", "tiny")

    assert time.monotonic() - began < 60
    assert "version 1 is the best and serves already" in told
    assert loop.last_run().state_of("unchanged") == "success"
    assert len(open_store(loop.settings).names("tiny/snapshots")) == 1


def test_a_refused_challenger_leaves_the_champion_and_the_run_says_so(loop: Loop) -> None:
    loop.write_spec(gate={"minimum": {"accuracy": 1.0, "macro_auroc": 1.0}})

    told = loop.medloop("retrain", "tiny", "--candidate", "scratch")

    assert "REFUSED" in told
    run = loop.last_run()
    assert run.state == "success"
    assert run.state_of("refuse") == "success"
    assert run.state_of("promote") == "skipped"
    assert "version 1" in loop.medloop("status")
    loop.write_spec()


def test_a_landing_that_fails_its_checks_stops_the_run_with_the_reason(
    loop: Loop, tmp_path: Path
) -> None:
    generate(tmp_path / "bad", seed=6, images=30, size=64)
    for n in range(20):
        (tmp_path / "bad" / "round_lesion" / f"subject9{n}_slice1.png").write_bytes(b"no picture")

    told = loop.medloop("retrain", "tiny", "--landing", str(tmp_path / "bad"), status=1)

    assert "check_landing" in told
    assert "At most 10.0% of the landed files are refused" in told
    assert loop.last_run().state_of("ingest") == "upstream_failed"


def test_killed_tasks_are_tried_again_and_new_images_are_added_to_the_snapshot(
    loop: Loop, tmp_path: Path
) -> None:
    generate(tmp_path / "new", seed=11, images=30, size=64)
    shutil.copytree(tmp_path / "new", loop.landing, dirs_exist_ok=True)
    store = open_store(loop.settings)
    (first,) = store.names("tiny/snapshots")

    with _killing(loop, "train"):
        told = loop.medloop("retrain", "tiny")

    assert "champion" in told or "serves already" in told or "REFUSED" in told
    assert loop.last_run().state == "success"
    newer = [name for name in store.names("tiny/snapshots") if name != first]
    assert len(newer) == 1
    output = store.read_json(f"tiny/snapshots/{newer[0]}/manifest.json")["output"]
    assert output["parent"] == first
    assert 0 < output["added"] < output["images"]
    assert store._hidden("tiny/snapshots") == []
    assert store._hidden("tiny/prepared") == []


def test_stages_run_by_hand_as_the_dag_runs_them(loop: Loop, tmp_path: Path) -> None:
    image = loop.an_image("diffuse_lesion")

    loop.medloop("restore", "tiny", f"diffuse_lesion/{image.name}", "--to", str(tmp_path))
    (restored,) = tmp_path.rglob("*.png")
    assert restored.read_bytes() == image.read_bytes()

    assert "Leak-free test set" in loop.medloop("evaluate", "tiny")
    loop.medloop("gradcam", "tiny", str(image), "--output", str(tmp_path / "cam.png"))
    assert (tmp_path / "cam.png").read_bytes().startswith(b"\x89PNG")


def test_rollback_needs_a_previous_champion_and_promotion_a_version(loop: Loop) -> None:
    assert "99" in loop.medloop("promote", "tiny", "99", status=1)


def test_status_for_programs_is_json(loop: Loop) -> None:
    told = json.loads(loop.medloop("stack", "status", "--json"))

    assert {part["state"] for part in told["parts"]} == {"ready"}


class _killing:
    """Kill the processes of one task, once, as soon as it runs."""

    def __init__(self, loop: Loop, task: str) -> None:
        self._loop = loop
        self._task = task
        self._done = threading.Event()
        self._killed: list[int] = []
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self._before = self._loop.last_run().run
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()
        if error[0] is None:
            assert self._killed, f"{self._task} never ran"

    def _watch(self) -> None:
        while not self._done.wait(0.5) and not self._killed:
            try:
                run = self._loop.last_run()
            except MedloopError:
                continue
            running = [t for t in run.tasks if t.task == self._task and t.state == "running"]
            if run.run != self._before and running:
                time.sleep(3)
                self._killed = _kill_newest_task(self._loop)


def _kill_newest_task(loop: Loop) -> list[int]:
    """SIGKILL the newest process below the scheduler: the task itself."""
    (pid,) = [p.pid for p in stack.status(loop.settings) if p.name == "airflow-scheduler"]
    below = psutil.Process(pid).children(recursive=True)
    newest = max(below, key=lambda process: process.create_time())
    os.kill(newest.pid, signal.SIGKILL)
    return [newest.pid]
