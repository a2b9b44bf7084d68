"""A server in a container runs the native stack's command, at its own name."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines import database
from pipelines.errors import DatabaseUnavailable, SettingsError, StackError
from pipelines.reach import ip_address
from pipelines.settings import Settings
from stack import container, tracking_login
from stack.container import find, observe, parts
from stack.part import Part, Process
from tests.containers.compose import OURS, SERVICES

PREPARED = {
    "namenode": ["prepared", "started"],
    "spark-master": ["prepared", "started"],
    "mlflow": ["mlflow", "prepared", "started"],
    "airflow-api-server": ["airflow", "prepared", "started"],
    "service": ["prepared", "started"],
    "queue": ["queue", "prepared", "started"],
}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Those of the compose file."""
    environment = SERVICES["service"]["environment"]
    for name, value in environment.items():
        if value is not None:
            monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(tracking_login, "only_this_machine", lambda _: False)
    monkeypatch.setattr(container, "get_settings", lambda: Settings(home=tmp_path))
    return Settings(home=tmp_path)


def command(name: str) -> str:
    return " ".join(find(container.settings_in(name), name)[1].command)


@pytest.mark.usefixtures("settings")
def test_a_server_listens_at_its_own_name_and_asks_others_at_theirs() -> None:
    assert "fs.defaultFS=hdfs://namenode:8020" in command("namenode")
    assert "dfs.namenode.http-address=namenode:9870" in command("namenode")
    assert "fs.defaultFS=hdfs://namenode:8020" in command("datanode")
    assert "dfs.datanode.address=datanode:9866" in command("datanode")
    assert "--host spark-master" in command("spark-master")
    assert "--host spark-worker" in command("spark-worker")
    assert command("spark-worker").endswith("spark://spark-master:7077")
    assert "@/mlflow?host=postgres" in command("mlflow")
    assert "--host mlflow" in command("mlflow")


def test_a_server_that_takes_no_host_name_gets_its_address() -> None:
    assert ip_address("localhost") in ("127.0.0.1", "::1")


def test_the_worker_works_in_the_volume(settings: Settings) -> None:
    assert f"--work-dir {settings.home}/work/" in command("spark-worker")


def test_every_container_has_its_server(settings: Settings) -> None:
    names = {process.name for part in parts(settings) for process in part.processes}

    assert {*names, "watch"} == set(SERVICES)
    with pytest.raises(StackError, match="'other'"):
        find(settings, "other")


@pytest.mark.parametrize("name", OURS)
def test_what_must_be_prepared_is_prepared_by_one_container(
    name: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "watch":
        return
    prepared: list[str] = []
    part, process = find(settings, name)
    part = replace(part, prepare=lambda _: prepared.append("prepared"))
    monkeypatch.setattr(container, "find", lambda *_: (part, process))
    monkeypatch.setattr(container, "_ensure_database", lambda _, name: prepared.append(name))
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(os, "execvp", lambda *_: prepared.append("started"))

    container.run(name)

    assert prepared == PREPARED.get(name, ["started"])


def test_a_database_that_is_just_starting_is_asked_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    made: list[str] = []

    def query(_: Settings, sql: str) -> str:
        asked.append(sql)
        if len(asked) == 1:
            raise DatabaseUnavailable("not yet")
        if sql.startswith("CREATE"):
            made.append(sql)
        return ""

    monkeypatch.setattr(database, "query", query)
    monkeypatch.setattr(time, "sleep", lambda _: None)

    container._ensure_database(settings, "airflow")

    assert made == ["CREATE DATABASE airflow ENCODING 'UTF8' TEMPLATE template0"]


def test_the_watch_asks_every_server_and_survives_one_that_is_down(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = find(settings, "mlflow")[0]
    ready = replace(part.processes[0], obstacle=lambda _: None)

    def find_one(_: Settings, name: str) -> tuple[Part, Process]:
        if name == "mlflow":
            raise SettingsError("no such host")
        return part, ready

    monkeypatch.setattr(container, "find", find_one)
    monkeypatch.setattr(container, "rooms", lambda _: [])

    seen = observe(settings)

    assert seen.supervised
    standings = {standing.process: (standing.state, standing.detail) for standing in seen.standings}
    assert standings.pop("mlflow") == ("starting", "no such host")
    assert {*standings, "mlflow", "watch"} == set(SERVICES)
    assert set(standings.values()) == {("ready", None)}
