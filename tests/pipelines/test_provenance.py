import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines import provenance


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder that the code seems to be run from."""
    monkeypatch.setattr(provenance, "PROJECT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    provenance.git_commit.cache_clear()
    yield tmp_path
    provenance.git_commit.cache_clear()


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    command = ["git", "-C", str(folder), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_the_commit_is_told_and_whether_files_differ_from_it(repository: Path) -> None:
    (repository / "a.py").write_text("1\n")
    git(repository, "init", "-q")
    git(repository, "add", "a.py")
    git(repository, "commit", "-q", "-m", "one")
    commit = git(repository, "rev-parse", "HEAD")
    assert provenance.git_commit() == commit
    (repository / "a.py").write_text("2\n")
    provenance.git_commit.cache_clear()
    assert provenance.git_commit() == f"{commit}+changes"


@pytest.mark.usefixtures("repository")
def test_code_outside_a_repository_has_no_commit() -> None:
    assert provenance.git_commit() is None


def test_an_image_s_file_names_the_commit_it_was_built_from(repository: Path) -> None:
    (repository / "GIT_COMMIT").write_text("abc123\n")
    assert provenance.git_commit() == "abc123"
    (repository / "GIT_COMMIT").write_text("\n")
    provenance.git_commit.cache_clear()
    assert provenance.git_commit() is None
