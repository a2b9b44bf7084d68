"""The command line teaches, and reports a mistake without a traceback."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from pipelines.cli.app import app, main
from pipelines.cli.console import console, errors
from pipelines.settings import PROJECT, get_settings

COMMANDS = (  # noqa: SIM905
    "run retrain phantom ingest check split prepare restore train evaluate select promote "
    "rollback gradcam status trace token stack"
).split()


@dataclass(frozen=True)
class Ended:
    """What a command printed, and its exit status."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture(autouse=True)
def _own_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """No server answers; the store is a folder; lines are wide."""
    for name, value in {
        "MEDLOOP_HOME": str(tmp_path),
        "MEDLOOP_STORE": (tmp_path / "store").as_uri(),
        "MEDLOOP_MLFLOW_URI": "http://127.0.0.1:9",
        "MEDLOOP_AIRFLOW_PORT": "9",
        "MEDLOOP_SERVICE_PORT": "9",
        "COLUMNS": "200",
    }.items():
        monkeypatch.setenv(name, value)
    for screen in (console, errors):
        monkeypatch.setattr(screen, "_width", 200)
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.fixture
def medloop(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """The command, run in this process by the function that the shell runs."""

    def run(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["medloop", *arguments])
        status = 0
        try:
            main()
        except SystemExit as ending:
            status = int(ending.code or 0)
        printed = capsys.readouterr()
        return Ended(status, printed.out, printed.err)

    return run


def test_help_names_every_command_and_each_teaches() -> None:
    root: Any = typer.main.get_command(app)
    overview = CliRunner().invoke(app, ["--help"]).stdout

    assert set(COMMANDS) <= set(root.commands)
    for command in root.commands:
        assert command in overview
        result = CliRunner().invoke(app, [command, "--help"])
        assert result.exit_code == 0, command
        assert "Usage" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("ingest", "knee_mri"), "phantom"),
        (("ingest", "phantom", "/nowhere"), "/nowhere"),
        (("prepare", "phantom"), "medloop ingest phantom"),
        (("restore", "phantom", "x"), "phantom"),
        (("promote", "phantom"), "http://127.0.0.1:9"),
        (("retrain", "phantom"), "medloop stack up"),
        (("retrain", "phantom", "--candidate", "nobody"), "lite0-frozen"),
    ],
)
def test_a_mistake_is_reported_in_words(
    arguments: tuple[str, ...], says: str, medloop: Any
) -> None:
    result = medloop(*arguments)

    assert result.returncode == 1
    assert says in result.stderr
    assert "Traceback" not in result.stderr + result.stdout


def test_a_shell_sees_the_exit_status_and_no_traceback() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", "ingest", "knee_mri"],
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert result.returncode == 1
    assert "phantom" in result.stderr
    assert "Traceback" not in result.stderr + result.stdout


def test_stages_run_by_hand_on_a_local_store(tmp_path: Path, medloop: Any) -> None:
    landing = tmp_path / "drawn"
    assert medloop("phantom", str(landing), "--images", "200").returncode == 0

    first = medloop("ingest", "phantom", str(landing))
    again = medloop("ingest", "phantom", str(landing))
    split = medloop("split", "phantom")

    assert first.returncode == 0, first.stderr
    assert "quarantined" in first.stdout
    assert (
        first.stdout.splitlines()[-1].split(":")[0] == again.stdout.splitlines()[-1].split(":")[0]
    )
    assert "exact" in split.stdout


def test_status_tells_what_waits_in_the_landing_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, medloop: Any
) -> None:
    datasets = tmp_path / "datasets"
    datasets.mkdir()
    shutil.copy(PROJECT / "datasets" / "phantom.yaml", datasets)
    monkeypatch.setenv("MEDLOOP_DATASETS", str(datasets))
    get_settings.cache_clear()
    folder = tmp_path / "landing" / "phantom" / "no_lesion"
    folder.mkdir(parents=True)
    for name in ("1.png", "2.png", "3.png.part"):
        (folder / name).write_bytes(b"x")

    medloop("enable", "phantom")
    told = medloop("status").stdout

    line = next(line for line in told.splitlines() if line.startswith("phantom"))
    assert "2 files, since" in line
