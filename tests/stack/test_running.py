"""The whole stack, for real: ready, reached on loopback only, and not stopped by any kill.

Started once for this file. Its last test kills every process, one after another and then all at
once, while the loop makes a champion and the service is asked.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
import yaml

import stack
from pipelines.data.phantom import generate
from pipelines.data.phantom.landing import COPIES
from pipelines.errors import StackError
from pipelines.release import registry
from pipelines.scheduler import RunState, open_scheduler
from pipelines.service_client import ServiceClient
from pipelines.settings import Settings
from pipelines.stage import Context
from pipelines.storage import open_store
from stack.testing import running_stack
from tests.end_to_end.conftest import SPEC
from tests.serving.publishing import crown, publish
from tests.stack.killing import (
    RETURN_SECONDS,
    Asking,
    await_return,
    kill,
    kill_part,
    power_cut,
    statuses,
    supervisord,
)

IMAGES = 60
"""Distinct pictures that land; `COPIES` exact and as many near copies come with them."""
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
    ("airflow-dag-processor", "airflow-triggerer", "watch"),
)
"""What is killed, and has to be back before the next is; then the service and supervisord are."""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Every part, with two DataNodes, and two data sets: one to retrain, one to be asked about."""
    home = tmp_path_factory.mktemp("stack")
    datasets = home / "datasets"
    datasets.mkdir()
    scratch = [c for c in SPEC["candidates"] if c["name"] == "scratch"]
    for name in ("tiny", "asked"):
        spec = SPEC | {"name": name, "candidates": scratch}
        (datasets / f"{name}.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    generate(home / "landing" / "tiny", seed=5, images=IMAGES, size=64)
    fields = {"datasets": datasets, "champion_poll_seconds": 0.5, "spark_driver_memory": "1g"}
    with running_stack(None, home=home, datanodes=2, **fields) as settings:
        yield settings


def test_every_part_is_ready_and_its_address_answers(settings: Settings) -> None:
    parts = statuses(settings)
    assert {part.state for part in parts.values()} == {"ready"}
    assert [name for name in parts if name.startswith("datanode")] == ["datanode-0", "datanode-1"]
    for part in parts.values():
        if part.url and part.url.startswith("http"):
            answer = httpx.get(part.url, trust_env=False, follow_redirects=True)
            assert answer.status_code == httpx.codes.OK, part


def test_nothing_listens_beyond_loopback(settings: Settings) -> None:
    addresses = set()
    for part in statuses(settings).values():
        process = psutil.Process(part.pid)
        for member in [process, *process.children(recursive=True)]:
            listening = [c for c in member.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
            addresses |= {connection.laddr.ip for connection in listening}
    assert addresses <= {"127.0.0.1", "::ffff:127.0.0.1"}
    assert addresses


def test_up_again_starts_nothing_anew(settings: Settings) -> None:
    before = {name: part.pid for name, part in statuses(settings).items()}
    stack.up(settings)
    assert {name: part.pid for name, part in statuses(settings).items()} == before


def test_airflow_lets_its_user_in_and_reads_the_projects_dags(settings: Settings) -> None:
    scheduler = open_scheduler(settings)
    scheduler.wait_for("retrain_asked", seconds=RETURN_SECONDS)
    assert scheduler.latest("retrain_asked") is None


def test_no_secret_shows_in_any_processs_command_or_environment(settings: Settings) -> None:
    home = settings.home / "airflow"
    secrets = {
        secret
        for file in ("passwords.json", "secrets.json")
        for secret in json.loads((home / file).read_text()).values()
    }
    for part in statuses(settings).values():
        process = psutil.Process(part.pid)
        shown = " ".join([*process.cmdline(), *process.environ().values()])
        assert not [secret for secret in secrets if secret in shown], part.name
    assert not [
        s for s in secrets if s in (settings.home / "supervisor/supervisord.conf").read_text()
    ]


def test_restart_ends_one_part_and_leaves_the_others(settings: Settings) -> None:
    before = {name: part.pid for name, part in statuses(settings).items()}
    stack.restart(settings, "service")
    after = {name: part.pid for name, part in statuses(settings).items()}
    assert {name for name in after if after[name] != before[name]} == {"service"}


def test_a_second_installation_on_the_same_ports_is_told_who_holds_them(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    second = settings.model_copy(update={"home": tmp_path_factory.mktemp("second")})
    holder = statuses(settings)["namenode"].pid
    with pytest.raises(StackError, match=rf"java \(pid {holder}\).*MEDLOOP_NAMENODE_PORT"):
        stack.up(second, ["hdfs"])


@pytest.mark.timeout(1800)
def test_whatever_is_killed_the_run_ends_well_and_the_service_answers(
    settings: Settings, tmp_path: Path
) -> None:
    crown(settings, "asked", publish(settings, tmp_path / "b", dataset="asked", seed=1))
    image = next((settings.home / "landing" / "tiny" / "round_lesion").glob("*.png"))
    kept = bytes(range(256)) * 4096
    open_store(settings).write("kept/blocks.bin", kept)
    scheduler = open_scheduler(settings)
    scheduler.wait_for("retrain_tiny", seconds=RETURN_SECONDS)
    _await_first_answer(settings, image)

    with Asking(settings, image, dataset="asked") as asking:
        began = time.monotonic()
        run = scheduler.start("retrain_tiny", {})
        for names in VICTIMS:
            killed = {name: kill_part(settings, name) for name in names}
            for name, pid in killed.items():
                await_return(settings, name, killed=pid)
        seen = statuses(settings)
        assert all(seen[name].restarts for names in VICTIMS for name in names)
        others_killed = time.monotonic()
        await_return(settings, "service", killed=kill_part(settings, "service"))
        _kill_supervisord(settings)
        revived = time.monotonic()
    assert asking.longest_silence(since=began, until=others_killed) < ANSWERS_WITHIN
    assert asking.longest_silence(since=others_killed, until=revived) < SERVICE_BACK_WITHIN

    if scheduler.state("retrain_tiny", run).ended:
        run = scheduler.start("retrain_tiny", {})
    power_cut(settings)
    stack.up(settings)
    state = _ended(settings, run)

    assert state.state == "success"
    context = Context(settings=settings, store=open_store(settings))
    champion = registry.champion(context, "tiny")
    assert champion is not None
    assert _served(settings)["tiny"] == champion.version
    assert _served(settings)["asked"] == 1
    assert context.store.read("kept/blocks.bin") == kept
    (snapshot,) = context.store.names("tiny/snapshots")
    manifest = context.store.read_json(f"tiny/snapshots/{snapshot}/manifest.json")
    assert manifest["output"]["images"] == IMAGES + 2 * COPIES
    assert not context.store.hidden("tiny/snapshots")
    assert not context.store.hidden("tiny/prepared")


def _await_first_answer(settings: Settings, image: Path) -> None:
    with Asking(settings, image, dataset="asked") as asking:
        deadline = time.monotonic() + RETURN_SECONDS
        while not asking.answers:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def _kill_supervisord(settings: Settings) -> None:
    """Kill it, and wait until the watch has brought it back with every part."""
    killed = supervisord(settings)
    before = statuses(settings)
    kill(killed)
    deadline = time.monotonic() + 2 * RETURN_SECONDS
    while supervisord(settings).pid == killed.pid:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    for name, part in before.items():
        await_return(settings, name, killed=part.pid or 0)


def _ended(settings: Settings, run: str) -> RunState:
    *_, last = open_scheduler(settings).follow("retrain_tiny", run)
    return last


def _served(settings: Settings) -> dict[str, int]:
    return ServiceClient(settings).versions()
