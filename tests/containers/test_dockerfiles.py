"""What can be known of the Dockerfiles without a container engine."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILES = sorted(p for p in ROOT.glob("**/Dockerfile") if ".venv" not in p.parts)


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_linter_finds_nothing_in_it(dockerfile: Path) -> None:
    linter = Path(sys.executable).parent / "hadolint"

    said = subprocess.run([linter, dockerfile], capture_output=True, text=True, check=False)

    assert said.returncode == 0, said.stdout + said.stderr


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_it_runs_as_a_user_without_rights(dockerfile: Path) -> None:
    lines = dockerfile.read_text("utf-8").splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]

    assert users
    assert users[-1] == "1000:1000"


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_its_base_is_pinned_to_the_python_that_the_project_uses(dockerfile: Path) -> None:
    (base,) = [line for line in dockerfile.read_text("utf-8").splitlines() if "FROM python" in line]

    assert base.startswith("FROM python:3.11.")
