"""``medloop status``: what is in use, what is not, and which files are invalid."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pipelines.activity import is_active
from pipelines.cli import status
from pipelines.cli.app import app
from pipelines.settings import PROJECT, Settings, get_settings


@pytest.fixture
def shipped(tmp_path: Path, installation: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An installation with the data sets that the project ships."""
    shutil.copytree(PROJECT / "datasets", tmp_path / "datasets")
    monkeypatch.setenv("MEDLOOP_DATASETS", str(tmp_path / "datasets"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("stack.status", lambda _: [])
    monkeypatch.setattr(status, "champion", lambda _: "none")
    get_settings.cache_clear()
    return installation.model_copy(update={"datasets": tmp_path / "datasets"})


def ask(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments])


def test_only_data_sets_in_use_are_listed_and_the_others_named(shipped: Settings) -> None:
    assert "No data set is in use" in ask("status").stdout

    assert ask("enable", "phantom").exit_code == 0

    assert is_active(shipped, "phantom")
    lines = ask("status").stdout.splitlines()
    (row,) = [line for line in lines if line.startswith("phantom")]
    assert "nothing" in row
    (others,) = [line for line in lines if line.startswith("Not in use: ")]
    assert "brain_mri, " in others
    assert "phantom" not in others

    assert ask("disable", "phantom").exit_code == 0
    assert not is_active(shipped, "phantom")
    assert ask("enable", "unknown").exit_code == 1


def test_an_invalid_file_is_shown_and_hides_no_other_data_set(
    shipped: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask("enable", "phantom")
    ask("enable", "brain_mri")
    (shipped.datasets / "brain_mri.yaml").write_text("name: [")
    monkeypatch.setattr(status, "_traffic", _broken_for_brain_mri)

    told = ask("status")

    assert told.exit_code == 0
    (row,) = [line for line in told.stdout.splitlines() if line.startswith("phantom")]
    assert row.rstrip().endswith("quiet")
    (row,) = [line for line in told.stdout.splitlines() if line.startswith("brain_mri")]
    assert row.rstrip().endswith("unknown (KeyError)")
    assert "brain_mri.yaml is not YAML" in told.output


def _broken_for_brain_mri(dataset: str) -> str:
    if dataset == "brain_mri":
        raise KeyError("no error of ours")
    return "quiet"
