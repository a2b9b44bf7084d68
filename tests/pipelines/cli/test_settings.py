"""``medloop settings`` and the file of examples it makes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.cli.settings import example_file, variable
from pipelines.settings import PROJECT, Settings


def test_the_example_file_is_what_the_command_prints_today() -> None:
    written = (PROJECT / ".env.example").read_text("utf-8")

    assert written == example_file(), "run: medloop settings --example > .env.example"


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_explained_to_the_reader(name: str) -> None:
    assert Settings.model_fields[name].description, name
    assert f"# {variable(name)}=" in example_file()


def test_what_the_example_says_are_the_defaults_is_accepted(tmp_path: Path) -> None:
    lines = [line.removeprefix("# ") for line in example_file().splitlines()]
    told = tmp_path / "told.env"
    told.write_text("\n".join(line for line in lines if line.startswith("MEDLOOP_")))
    given = {line.partition("=")[0] for line in told.read_text().splitlines()}

    settings = Settings(_env_file=told)

    assert given - {"MEDLOOP_LANDING", "MEDLOOP_SECRETS"} <= {
        variable(name) for name in Settings.model_fields
    }
    for name, field in Settings.model_fields.items():
        if not isinstance(field.default, Path):
            assert getattr(settings, name) == field.default, name


def test_the_command_says_what_was_set_and_where() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", "settings"],
        env=os.environ | {"MEDLOOP_SERVICE_PORT": "3033", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    (line,) = [line for line in told.splitlines() if "MEDLOOP_SERVICE_PORT" in line]
    assert "3033" in line
    assert "environment" in line
    (line,) = [line for line in told.splitlines() if "MEDLOOP_MLFLOW_PORT" in line]
    assert "default" in line
