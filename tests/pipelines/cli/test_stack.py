"""The stack's commands, for people and for scripts."""

import json

import pytest
from typer.testing import CliRunner, Result

from pipelines.cli.app import app
from pipelines.settings import Settings


def ask(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["stack", *arguments])


@pytest.mark.usefixtures("installation")
def test_status_ends_with_1_unless_every_part_is_ready() -> None:
    assert ask("status").exit_code == 1
    assert ask("status", "--json").exit_code == 1


def test_status_for_programs_tells_parts_and_disks(installation: Settings) -> None:
    told = json.loads(ask("status", "--json").stdout)
    assert told["home"] == str(installation.home)
    (mlflow,) = [part for part in told["parts"] if part["name"] == "mlflow"]
    assert (mlflow["state"], mlflow["port"], mlflow["ports"]) == ("stopped", 5000, [5000])
    assert told["disks"][0]["name"] == "home"


def test_logs_name_the_process_where_there_are_several(installation: Settings) -> None:
    logs = installation.home / "logs"
    logs.mkdir(parents=True)
    (logs / "namenode.log").write_text("one\ntwo [brackets] {braces}\n")
    (logs / "datanode-0.log").write_text("three\n")
    assert ask("logs", "namenode", "-n", "1").stdout == "two [brackets] {braces}\n"
    lines = ask("logs", "hdfs").stdout.splitlines()
    assert [line.split("|")[0].strip() for line in lines] == ["namenode", "namenode", "datanode-0"]


def test_logs_of_airflow_say_where_those_of_its_tasks_are(installation: Settings) -> None:
    assert str(installation.home / "logs" / "airflow") in ask("logs", "airflow").output
