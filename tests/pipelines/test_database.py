"""PostgreSQL elsewhere than in the native stack is reached by its host, with a password."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from pipelines import database
from pipelines.backup import take
from pipelines.backup.manifest import read_manifest
from pipelines.settings import Settings
from pipelines.storage import open_store
from stack.environment import inherited_environment


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("PGPASSWORD", "secret")
    monkeypatch.setenv("PGOPTIONS", "-c work_mem=1")
    store = (tmp_path / "store").as_uri()
    return Settings(home=tmp_path / "home", store=store, database_host="postgres")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Each client of PostgreSQL that is run: it finds both databases, and dumps some bytes."""
    found: list[dict[str, Any]] = []

    def run(command: list[str], env: dict[str, str] | None = None, **_: Any) -> Any:
        found.append({"command": command, "env": env})
        if command[0].endswith("pg_dump"):
            Path(command[-1]).write_bytes(b"dump")
        said = "mlflow\nairflow\n" if "datname IN" in command[-1] else "mlflow 3.17.2"
        return subprocess.CompletedProcess(command, 0, stdout=said, stderr="")

    monkeypatch.setattr(database.subprocess, "run", run)  # type: ignore[attr-defined]
    return found


def test_clients_ask_the_host_with_its_password(
    settings: Settings, asked: list[dict[str, Any]]
) -> None:
    assert database.names(settings) == ["mlflow", "airflow"]

    (client,) = asked
    assert client["command"][1:5] == ["-h", "postgres", "-U", "postgres"]
    assert client["env"]["PGPASSWORD"] == "secret"
    assert "PGOPTIONS" not in client["env"]
    assert inherited_environment()["PGPASSWORD"] == "secret"
    assert (
        database.url(settings, "mlflow") == "postgresql+psycopg2://postgres@/mlflow?host=postgres"
    )


@pytest.mark.usefixtures("asked")
def test_a_backup_holds_its_databases_and_the_artifacts(settings: Settings) -> None:
    artifact = settings.home / "mlflow" / "artifacts" / "model.xml"
    artifact.parent.mkdir(parents=True)
    artifact.write_text("model")
    open_store(settings).require_layout()

    manifest = read_manifest(take.run(settings, pictures=False, keep=1))

    assert set(manifest.databases) == {"airflow", "mlflow"}
    assert {"databases/mlflow.dump", "home/mlflow/artifacts/model.xml"} <= set(manifest.files)
