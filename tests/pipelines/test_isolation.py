"""Processes that must not read the installation's settings read none of them."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest

from pipelines.cli.settings import variable
from pipelines.errors import SettingsError
from pipelines.isolation import IsolatedSettings, isolated_environment, settings_environment
from pipelines.release import canary
from pipelines.settings import PROJECT, Settings, get_settings

WORDS = {
    "host": "0.0.0.0",
    "store": "hdfs://elsewhere:8020/x",
    "alert_email_from": "from@example.org",
    "alert_email_to": "to@example.org",
    "service_cors_origins": "https://viewer.example.org",
    "queue_webhook_origins": "https://ris.example.org",
    "service_hosts": "medloop.example.org",
    "store_endpoint": "https://elsewhere:9000",
    "webhdfs_url": "http://elsewhere:9870",
    "mlflow_uri": "http://elsewhere:5000",
    "airflow_url": "http://elsewhere:8080",
    "service_url": "https://elsewhere:3000",
    "cluster_host": "10.0.0.1",
    "prune_schedule": "0 5 * * 1",
    "spark": "yarn",
    "spark_executor_memory": "2g",
    "spark_driver_memory": "3g",
    "spark_event_log": "/no/such/place",
}
SHOW = "from pipelines.settings import get_settings; print(get_settings().model_dump_json())"


def other_value(name: str) -> str:
    """A valid value of a setting that is not its default."""
    field = Settings.model_fields[name]
    kinds = [kind for kind in get_args(field.annotation) if kind is not type(None)]
    kind: Any = field.annotation
    if get_origin(kind) is not Literal and kinds:
        (kind,) = kinds
    if get_origin(kind) is Literal:
        return str(next(value for value in get_args(kind) if value != field.default))
    if kind is bool:
        return str(not field.default)
    if kind in (int, float):
        return str(0.5 if name.endswith("share") else kind(field.default or 1) + 1)
    return "/no/such/place" if kind is Path else WORDS.get(name, "elsewhere")


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A file ``.env`` that sets every setting to something else than its default."""
    file = tmp_path / "hostile.env"
    lines = [f"{variable(name)}={other_value(name)}" for name in Settings.model_fields]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    told = Settings(_env_file=file)
    for name, field in Settings.model_fields.items():
        assert getattr(told, name) != field.default, f"{name}: add a value to WORDS"
    return file


def values(environment: dict[str, str], cwd: Path) -> dict[str, Any]:
    """The settings of a process with this environment."""
    read = subprocess.run(
        [sys.executable, "-c", SHOW],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
    )
    return Settings.model_validate_json(read.stdout).model_dump()


def test_settings_come_from_the_checkout_s_env_file_or_the_one_that_is_named(
    hostile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Settings.model_config["env_file"] == PROJECT / ".env"

    monkeypatch.setenv("MEDLOOP_ENV_FILE", str(hostile))
    assert Settings().service_tls_cert == Path("/no/such/place")

    get_settings.cache_clear()
    monkeypatch.setenv("MEDLOOP_ENV_FILE", str(tmp_path / "nowhere.env"))
    with pytest.raises(SettingsError, match=r"MEDLOOP_ENV_FILE='.*nowhere\.env' is not a file"):
        get_settings()


def test_an_isolated_process_reads_defaults_and_what_it_is_given(
    hostile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text(hostile.read_text("utf-8"), "utf-8")
    monkeypatch.setenv("MEDLOOP_ENV_FILE", str(hostile))
    for line in hostile.read_text("utf-8").splitlines():
        monkeypatch.setenv(*line.split("=", 1))
    for name in ("BENTOML_CONFIG", "AIRFLOW__CORE__EXECUTOR", "MLFLOW_TRACKING_URI", "PGHOST"):
        monkeypatch.setenv(name, "elsewhere")

    environment = isolated_environment(home=tmp_path, service_url=None)

    expected = IsolatedSettings(home=tmp_path).model_dump()
    assert values(environment | {"PYTHONPATH": str(PROJECT)}, tmp_path) == expected
    assert "elsewhere" not in environment.values()
    assert IsolatedSettings().service_tls_cert is None


def test_a_process_that_is_given_settings_reads_no_file_besides(
    hostile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = settings_environment(IsolatedSettings(service_port=3003).model_dump())
    monkeypatch.setenv("MEDLOOP_ENV_FILE", str(hostile))
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    assert Settings().model_dump() == IsolatedSettings(service_port=3003).model_dump()


def test_the_canary_s_service_reads_none_of_the_installation_s_settings(
    hostile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDLOOP_ENV_FILE", str(hostile))
    started: dict[str, Any] = {}

    class Ended(Exception):
        pass

    def start(*_: Any, env: dict[str, str], **__: Any) -> None:
        started.update(env)
        raise Ended

    monkeypatch.setattr(subprocess, "Popen", start)
    with pytest.raises(Ended), canary._service(tmp_path, home=tmp_path / "home"):
        pass
    monkeypatch.undo()

    expected = IsolatedSettings(home=tmp_path / "home").model_dump()
    assert values(started, PROJECT) == expected


def test_the_test_suite_passes_where_every_setting_is_something_else(hostile: Path) -> None:
    """A subset: what isolates it is the suite's ``conftest.py``, before any test is imported."""
    lines = (line.split("=", 1) for line in hostile.read_text("utf-8").splitlines())
    subset = ["test_settings.py", "test_layout.py", "cli/test_settings.py", "access/test_store.py"]
    foreign = {"AIRFLOW_HOME": "/no/such/place", "MLFLOW_TRACKING_URI": "http://elsewhere"}

    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
        + [f"tests/pipelines/{name}" for name in subset],
        env=os.environ | dict(lines) | foreign | {"MEDLOOP_ENV_FILE": str(hostile)},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stdout[-3000:]
