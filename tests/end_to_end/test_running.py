"""The whole stack, for real: ready, reached on loopback only, and not stopped by any kill.

The last test kills every process, one after another and then all at once, while the loop makes a
champion of new images and the service is asked.
"""

import json
import os
import shutil
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

import stack
from pipelines.errors import MedloopError, StackError
from pipelines.phantom import generate
from pipelines.release import registry
from pipelines.scheduler import RunState
from pipelines.stage import Context
from pipelines.storage import open_store
from tests.stack.killing import (
    RETURN_SECONDS,
    Asking,
    await_return,
    kill_part,
    power_cut,
    statuses,
)

from .conftest import Loop, wait_until

ANSWERS_WITHIN = 10.0
"""Seconds without an answer while others than the service are killed, on a busy machine."""
SERVICE_BACK_WITHIN = 120.0
"""Seconds without an answer when the service is killed itself, on a busy machine."""
VICTIMS = (
    ("namenode",),
    ("datanode-0", "mlflow"),
    ("airflow-scheduler",),
    ("postgres",),
    ("airflow-api-server",),
    ("airflow-dag-processor", "airflow-triggerer", "watch", "queue"),
)
"""What is killed, and has to be back before the next is; then the service, then all at once."""


def test_every_part_is_ready_and_its_address_answers(loop: Loop) -> None:
    parts = statuses(loop.settings)
    assert {part.state for part in parts.values()} == {"ready"}
    assert [name for name in parts if name.startswith("datanode")] == ["datanode-0", "datanode-1"]
    for part in parts.values():
        if part.url and part.url.startswith("http"):
            answer = httpx.get(part.url, trust_env=False, follow_redirects=True)
            assert answer.status_code == httpx.codes.OK, part


def test_nothing_listens_beyond_loopback(loop: Loop) -> None:
    addresses = set()
    for part in statuses(loop.settings).values():
        process = psutil.Process(part.pid)
        for member in [process, *process.children(recursive=True)]:
            listening = [c for c in member.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
            addresses |= {connection.laddr.ip for connection in listening}
    assert addresses <= {"127.0.0.1", "::ffff:127.0.0.1"}
    assert addresses


def test_up_again_starts_nothing_anew(loop: Loop) -> None:
    before = {name: part.pid for name, part in statuses(loop.settings).items()}
    stack.up(loop.settings)
    assert {name: part.pid for name, part in statuses(loop.settings).items()} == before


def test_airflow_lets_its_user_in_and_reads_the_projects_dags(loop: Loop) -> None:
    loop.scheduler.reread("retrain_tiny", seconds=RETURN_SECONDS)
    assert loop.scheduler.latest("retrain_tiny") is not None


def test_no_secret_shows_in_any_processs_command_or_environment(loop: Loop) -> None:
    home = loop.settings.home / "airflow"
    secrets = {
        secret
        for file in ("passwords.json", "secrets.json")
        for secret in json.loads((home / file).read_text()).values()
    }
    for part in statuses(loop.settings).values():
        process = psutil.Process(part.pid)
        shown = " ".join([*process.cmdline(), *process.environ().values()])
        assert not [secret for secret in secrets if secret in shown], part.name
    assert not [
        s for s in secrets if s in (loop.settings.home / "supervisor/supervisord.conf").read_text()
    ]


def test_restart_ends_one_part_and_leaves_the_others(loop: Loop) -> None:
    before = {name: part.pid for name, part in statuses(loop.settings).items()}
    stack.restart(loop.settings, "service")
    after = {name: part.pid for name, part in statuses(loop.settings).items()}
    assert {name for name in after if after[name] != before[name]} == {"service"}


def test_a_second_installation_on_the_same_ports_is_told_who_holds_them(
    loop: Loop, tmp_path_factory: pytest.TempPathFactory
) -> None:
    second = loop.settings.model_copy(update={"home": tmp_path_factory.mktemp("second")})
    holder = statuses(loop.settings)["namenode"].pid
    with pytest.raises(StackError, match=rf"java \(pid {holder}\).*MEDLOOP_NAMENODE_PORT"):
        stack.up(second, ["hdfs"])


@pytest.mark.timeout(1800)
def test_whatever_is_killed_the_run_ends_well_and_the_service_answers(
    loop: Loop, tmp_path: Path
) -> None:
    settings, store = loop.settings, open_store(loop.settings)
    image = loop.an_image("round_lesion")
    kept = bytes(range(256)) * 4096
    store.write("kept/blocks.bin", kept)
    before = set(store.names("tiny/snapshots"))
    generate(tmp_path / "new", seed=11, images=30, size=64)
    shutil.copytree(tmp_path / "new", loop.landing, dirs_exist_ok=True)

    with Asking(settings, image, dataset="phantom") as asking, _killing(loop, "train"):
        asking.await_first_answer()
        began = time.monotonic()
        run = loop.scheduler.start("retrain_tiny", {"candidates": ["scratch"]})
        for names in VICTIMS:
            killed = {name: kill_part(settings, name) for name in names}
            for name, pid in killed.items():
                await_return(settings, name, killed=pid)
        seen = statuses(settings)
        assert all(seen[name].restarts for names in VICTIMS for name in names)
        others_killed = time.monotonic()
        await_return(settings, "service", killed=kill_part(settings, "service"))
        revived = time.monotonic()
        # The power fails while the run goes on, unless it has outrun all of this.
        power_cut(settings)
        stack.up(settings)
        state = _ended(loop, run)
    assert asking.longest_silence(since=began, until=others_killed) < ANSWERS_WITHIN
    assert asking.longest_silence(since=others_killed, until=revived) < SERVICE_BACK_WITHIN

    assert state.state == "success"
    context = Context(settings=settings, store=open_store(settings))
    champions = {d: registry.champion(context, d) for d in ("tiny", "phantom")}
    expected = {d: champion.version for d, champion in champions.items() if champion is not None}
    assert len(expected) == 2
    wait_until(
        lambda: expected.items() <= loop.service.versions().items(),
        seconds=60,
        what=f"the champions {expected} in service",
    )
    assert context.store.read("kept/blocks.bin") == kept
    (newer,) = set(context.store.names("tiny/snapshots")) - before
    output = context.store.read_json(f"tiny/snapshots/{newer}/manifest.json")["output"]
    assert output["parent"] in before
    assert 0 < output["added"] < output["images"]
    assert not context.store.hidden("tiny/snapshots")
    assert not context.store.hidden("tiny/training_sets")


def test_stopping_leaves_no_process_and_no_port_open(loop: Loop) -> None:
    loop.make("stop")

    assert {part.state for part in statuses(loop.settings).values()} == {"stopped"}
    with pytest.raises(httpx.ConnectError):
        httpx.get(loop.settings.service, trust_env=False)


def _ended(loop: Loop, run: str) -> RunState:
    *_, last = loop.scheduler.follow("retrain_tiny", run)
    return last


class _killing:
    """Kill the process of one task, once, as soon as it runs."""

    def __init__(self, loop: Loop, task: str) -> None:
        self._loop = loop
        self._task = task
        self._over = threading.Event()
        self._killed: list[int] = []
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self._before = self._loop.last_run().run
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        if error[0] is None:
            assert self._killed, f"{self._task} never ran"

    def _watch(self) -> None:
        while not self._over.wait(0.5) and not self._killed:
            with suppress(MedloopError, psutil.Error):
                run = self._loop.last_run()
                running = [t for t in run.tasks if t.task == self._task and t.state == "running"]
                if run.run != self._before and running:
                    self._killed = _kill_newest_task(self._loop)


def _kill_newest_task(loop: Loop) -> list[int]:
    """SIGKILL the newest process below the scheduler: the task itself."""
    scheduler = psutil.Process(statuses(loop.settings)["airflow-scheduler"].pid)
    newest = max(scheduler.children(recursive=True), key=lambda process: process.create_time())
    os.kill(newest.pid, signal.SIGKILL)
    return [newest.pid]
