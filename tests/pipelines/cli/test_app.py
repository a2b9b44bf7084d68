"""The command line teaches, and tells a mistake without a traceback."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.settings import PROJECT

COMMANDS = (  # noqa: SIM905
    "run retrain phantom ingest check split prepare restore train evaluate select promote "
    "rollback gradcam status trace token stack"
).split()


def medloop(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "MEDLOOP_HOME": str(home),
        "MEDLOOP_STORE": (home / "store").as_uri(),
        "MEDLOOP_MLFLOW_URI": "http://127.0.0.1:9",
        "MEDLOOP_AIRFLOW_PORT": "9",
        "MEDLOOP_SERVICE_PORT": "9",
        "COLUMNS": "200",
    }
    return subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_help_names_every_command(tmp_path: Path) -> None:
    told = medloop("--help", home=tmp_path).stdout

    for command in COMMANDS:
        assert command in told


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_teaches(command: str, tmp_path: Path) -> None:
    result = medloop(command, "--help", home=tmp_path)

    assert result.returncode == 0
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
def test_a_mistake_is_told_in_words(arguments: tuple[str, ...], says: str, tmp_path: Path) -> None:
    result = medloop(*arguments, home=tmp_path)

    assert result.returncode == 1
    assert says in result.stderr
    assert "Traceback" not in result.stderr + result.stdout


def test_stages_run_by_hand_on_a_local_store(tmp_path: Path) -> None:
    landing = tmp_path / "drawn"
    assert medloop("phantom", str(landing), "--images", "200", home=tmp_path).returncode == 0

    first = medloop("ingest", "phantom", str(landing), home=tmp_path)
    again = medloop("ingest", "phantom", str(landing), home=tmp_path)
    split = medloop("split", "phantom", home=tmp_path)

    assert first.returncode == 0, first.stderr
    assert "quarantined" in first.stdout
    assert (
        first.stdout.splitlines()[-1].split(":")[0] == again.stdout.splitlines()[-1].split(":")[0]
    )
    assert "exact" in split.stdout


def test_status_tells_what_waits_in_the_landing_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = tmp_path / "datasets"
    datasets.mkdir()
    shutil.copy(PROJECT / "datasets" / "phantom.yaml", datasets)
    monkeypatch.setenv("MEDLOOP_DATASETS", str(datasets))
    folder = tmp_path / "landing" / "phantom" / "no_lesion"
    folder.mkdir(parents=True)
    for name in ("1.png", "2.png", "3.png.part"):
        (folder / name).write_bytes(b"x")

    told = medloop("status", home=tmp_path).stdout

    line = next(line for line in told.splitlines() if line.startswith("phantom"))
    assert "2 files, since" in line
