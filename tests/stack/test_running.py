"""The whole stack, for real: ready, reached on loopback only, and back after its parts are killed.

Started once for this file; a test that kills a part waits until it has returned.
"""

import json
import signal
import time
from collections.abc import Iterator

import httpx
import psutil
import pytest

import stack
from pipelines.errors import StackError
from pipelines.scheduler import open_scheduler
from pipelines.settings import Settings
from pipelines.storage import open_store
from stack import PartStatus
from stack.testing import running_stack

RETURN_SECONDS = 120


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Every part, with two DataNodes."""
    with running_stack(None, home=tmp_path_factory.mktemp("stack"), datanodes=2) as settings:
        yield settings


def statuses(settings: Settings) -> dict[str, PartStatus]:
    return {part.name: part for part in stack.status(settings)}


def kill(settings: Settings, name: str) -> int:
    """Kill a process without mercy; its pid."""
    pid = statuses(settings)[name].pid
    assert pid is not None
    process = psutil.Process(pid)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    return pid


def await_return(settings: Settings, name: str, *, killed: int) -> None:
    """Wait until a process is ready again, as another process than the one that was killed."""
    deadline = time.monotonic() + RETURN_SECONDS
    while True:
        part = statuses(settings)[name]
        if part.state == "ready" and part.pid != killed:
            return
        assert time.monotonic() < deadline, part
        time.sleep(0.05)


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
    scheduler.wait_for("retrain_phantom", seconds=RETURN_SECONDS)
    assert scheduler.latest("retrain_phantom") is None


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


def test_a_killed_datanode_returns_with_its_blocks(settings: Settings) -> None:
    store = open_store(settings)
    content = bytes(range(256)) * 4096
    store.write("kept/blocks.bin", content)
    # Both DataNodes hold the block; with one of them away its copy must do, and then both again.
    for name in ("datanode-0", "datanode-1"):
        killed = kill(settings, name)
        await_return(settings, name, killed=killed)
        assert store.read("kept/blocks.bin") == content


def test_a_killed_namenode_returns_with_every_file(settings: Settings) -> None:
    store = open_store(settings)
    store.write("kept/file.txt", b"still here")
    killed = kill(settings, "namenode")
    await_return(settings, "namenode", killed=killed)
    for name in ("datanode-0", "datanode-1"):
        await_return(settings, name, killed=0)
    assert store.read("kept/file.txt") == b"still here"


def test_a_killed_mlflow_returns_with_its_runs_and_its_port(settings: Settings) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(settings.tracking_uri)
    run = client.create_run(client.create_experiment("kept")).info.run_id
    client.log_metric(run, "accuracy", 0.75)
    client.log_text(run, "an artifact", "note.txt")

    killed = kill(settings, "mlflow")
    await_return(settings, "mlflow", killed=killed)
    assert client.get_run(run).data.metrics == {"accuracy": 0.75}
    assert [file.path for file in client.list_artifacts(run)] == ["note.txt"]


def test_a_killed_database_returns_and_those_who_use_it_go_on(settings: Settings) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(settings.tracking_uri)
    experiment = client.create_experiment("before the database was killed")
    killed = kill(settings, "postgres")
    await_return(settings, "postgres", killed=killed)
    assert client.get_experiment(experiment).name == "before the database was killed"
    for name in ("airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"):
        await_return(settings, name, killed=0)


@pytest.mark.parametrize("name", ["airflow-api-server", "airflow-scheduler", "service"])
def test_a_killed_server_returns_and_its_helpers_do_not_outlive_it(
    settings: Settings, name: str
) -> None:
    helpers = psutil.Process(statuses(settings)[name].pid).children(recursive=True)
    killed = kill(settings, name)
    await_return(settings, name, killed=killed)
    assert not [helper for helper in helpers if helper.is_running()]


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
