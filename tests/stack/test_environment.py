"""The stack's processes find the installation's settings and nothing that changes their Python."""

import os
from pathlib import Path

import pytest

from pipelines.errors import StackError
from pipelines.settings import Settings
from stack.environment import (
    command,
    environment_bin,
    inherited_environment,
    java,
    settings_environment,
    stack_environment,
)


def test_variables_that_change_python_or_other_parts_are_not_handed_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("PYTHONPATH", "PYTHONHOME", "AIRFLOW_HOME", "MLFLOW_TRACKING_URI", "CLASSPATH"):
        monkeypatch.setenv(name, "/elsewhere")
    assert not {"PYTHONPATH", "PYTHONHOME", "AIRFLOW_HOME", "MLFLOW_TRACKING_URI", "CLASSPATH"} & (
        inherited_environment().keys()
    )


def test_the_environments_commands_come_first_on_path() -> None:
    assert inherited_environment()["PATH"].split(os.pathsep)[0] == str(environment_bin())


def test_loopback_is_reached_without_a_proxy_and_other_exceptions_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("no_proxy", "hospital.example")
    assert inherited_environment()["no_proxy"] == "localhost,127.0.0.1,::1,hospital.example"


def test_another_process_reads_the_very_same_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=tmp_path, spark="yarn", mlflow_port=5151, champion_poll_seconds=0.5)
    for name, value in settings_environment(settings).items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings


def test_what_processes_find_depends_on_the_settings_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=tmp_path)
    before = stack_environment(settings)
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    monkeypatch.setenv("no_proxy", "hospital.example")
    assert stack_environment(settings) == before


def test_a_missing_java_is_an_error_that_says_where_it_was_sought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(StackError, match=r"Java 17.*JAVA_HOME"):
        java()


def test_a_missing_command_is_an_error_that_says_how_to_get_it() -> None:
    with pytest.raises(StackError, match="make setup"):
        command("no-such-command")
