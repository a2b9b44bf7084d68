"""What `docker compose build` sends to the engine: the program, and nothing of any patient."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RULES = [
    line
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    if line and not line.startswith("#")
]
PLANTED = [
    ".env",
    ".env.production",
    ".medloop/pseudonyms.key",
    ".medloop/home/service/tokens.json",
    "home/pseudonyms.key",
    "landing/brain_mri/glioma/Smith_John.jpg",
    "Landing/scan.dcm",
    "data/scan.dcm",
    "scan.dcm",
    "scan",
    "datasets/patients.csv",
    "datasets/scan.jpg",
    "datasets/.env",
    "datasets/private/other.yaml",
    "secrets/webhook",
    "serving/web/patient.png",
    "pipelines/scan.dcm",
    "backups/medloop-20261121T164815.123Z/backup.json",
    "medloop-20261121T164815.123Z/databases/mlflow.dump",
    ".medloop-20261121T164815.123Z/home/pseudonyms.key",
    "restored/cat/000.png",
    "mlflow/.env",
    "mlflow/mlruns/0/meta.yaml",
    "tests/x.png",
    "docs/figures/x.png",
    ".git/config",
]
NEEDED = ("dags", "datasets", "expectations", "pipelines", "serving", "stack")


def _matches(pattern: str, path: str) -> bool:
    """Whether a pattern of .dockerignore matches a path or a folder above it, as Docker does."""
    text = re.escape(pattern.strip("/")).replace(r"\*\*/", "(.*/)?").replace(r"\*\*", ".*")
    expression = re.compile(text.replace(r"\*", "[^/]*").replace(r"\?", "[^/]"))
    parts = path.split("/")
    return any(expression.fullmatch("/".join(parts[: n + 1])) for n in range(len(parts)))


def enters(path: str) -> bool:
    """Whether a file is part of the build context: the last rule that matches decides.

    A builder does not look into a folder that is left out, unless a rule that lets something in
    begins with the folder's very path: then a wildcard for folders is of no use.
    """
    folders = path.split("/")[:-1]
    above = ["/".join(folders[: n + 1]) for n in range(len(folders))]
    return _kept(path) and all(_kept(folder) or _is_looked_into(folder) for folder in above)


def _kept(path: str) -> bool:
    kept = True
    for rule in RULES:
        if _matches(rule.removeprefix("!"), path):
            kept = rule.startswith("!")
    return kept


def _is_looked_into(folder: str) -> bool:
    return any(rule.startswith(f"!{folder}/") for rule in RULES)


@pytest.mark.parametrize("path", PLANTED)
def test_what_may_be_of_a_patient_or_secret_stays_out(path: str) -> None:
    assert not enters(path)


def test_the_whole_program_enters_and_is_all_that_does() -> None:
    listed = ["git", "ls-files", *NEEDED, "pyproject.toml", "uv.lock", "README.md", "LICENSE"]
    known = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    every = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout

    assert [path for path in known.splitlines() if not enters(path)] == []
    suffixes = {Path(path).suffix for path in every.splitlines() if enters(path)}
    assert not suffixes & {".png", ".jpg", ".jpeg", ".dcm", ".csv", ".parquet", ".json"}


def test_git_does_not_take_it_up_either() -> None:
    usual = (".env", ".med", "landing", "backups", "medloop-", "restored")
    paths = [path for path in PLANTED if path.startswith(usual)]
    said = subprocess.run(
        ["git", "check-ignore", *paths], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert said.stdout.splitlines() == paths
