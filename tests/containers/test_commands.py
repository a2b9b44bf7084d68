"""What docker-compose.yml starts is known to start: each command of our images, run here.

The official images' programs (PostgreSQL, NameNode, DataNode) run natively in the tests of the
stack; of those, only PostgreSQL is needed here. Spark's master is started from PySpark, which is
the same release.
"""

import json
from collections.abc import Iterator

import httpx
import pytest

from pipelines.access.store import add_token
from pipelines.access.tokens import Role, mint
from pipelines.settings import Settings
from stack.testing import running_stack
from tests.containers.compose import ROOT
from tests.containers.machine import Machine

STAY_UP = (
    "mlflow",
    "spark-master",
    "spark-worker",
    "airflow-api-server",
    "airflow-scheduler",
    "airflow-dag-processor",
    "airflow-triggerer",
    "service",
)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with running_stack(["postgres"], home=tmp_path_factory.mktemp("compose")) as settings:
        machine = Machine(settings)
        try:
            assert machine.run("airflow-migrate") == 0, machine.said_by("airflow-migrate")
            _give_the_service_a_token(machine)
            for name in STAY_UP:
                machine.start(name)
            yield machine
        finally:
            machine.end()


def _give_the_service_a_token(machine: Machine) -> None:
    token, _ = mint("tests", Role.PREDICT)
    add_token(Settings(home=machine.home), token)


@pytest.mark.parametrize("name", STAY_UP)
def test_its_own_health_check_finds_it_well(machine: Machine, name: str) -> None:
    machine.await_healthy(name)


def test_airflow_knows_the_dags_the_pool_and_all_its_parts(machine: Machine) -> None:
    for name in STAY_UP:
        machine.await_healthy(name)
    address = machine.url("airflow-api-server")
    health = httpx.get(f"{address}/api/v2/monitor/health", trust_env=False).json()
    passwords = json.loads((machine.home / "airflow" / "passwords.json").read_text("utf-8"))
    login = {"username": "admin", "password": passwords["admin"]}
    token = httpx.post(f"{address}/auth/token", json=login, trust_env=False).json()["access_token"]
    asked = {"headers": {"Authorization": f"Bearer {token}"}, "trust_env": False}
    pools = httpx.get(f"{address}/api/v2/pools", **asked).json()["pools"]  # type: ignore[arg-type]

    assert {part["status"] for part in health.values()} == {"healthy"}
    assert {pool["name"] for pool in pools} == {"default_pool", "heavy"}


def test_the_worker_is_known_to_the_master(machine: Machine) -> None:
    machine.await_healthy("spark-worker")

    assert "Successfully registered with master" in machine.said_by("spark-worker")


def test_mlflow_keeps_runs_in_the_database(machine: Machine) -> None:
    machine.await_healthy("mlflow")

    answer = httpx.post(
        f"{machine.url('mlflow')}/api/2.0/mlflow/experiments/create",
        json={"name": "from-a-container"},
        trust_env=False,
    )

    assert answer.status_code == 200
    assert not (ROOT / "mlflow.db").exists()
