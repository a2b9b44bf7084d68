"""The wheel: what enters it, and that it runs where there is no checkout.

`make prove-wheel` installs it with its libraries and runs the whole loop.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from pipelines.settings import PROJECT

PACKAGES = ("dags", "expectations", "pipelines", "serving", "stack")
SHIPPED = (*PACKAGES, "datasets/*.yaml", "mlflow/server.env")
PRIVATE = ("datasets/patients.csv", "serving/web/scan.png", "pipelines/scan.dcm", "mlflow/.env")
SHOW = """
import importlib, json, sys
from pipelines.provenance import git_commit
from pipelines.settings import Settings
found = {name: importlib.import_module(name).__path__[0] for name in sys.argv[1:]}
settings = Settings()
print(json.dumps(found | {
    "home": str(settings.home), "datasets": str(settings.datasets), "commit": git_commit(),
    "host": settings.host,
}))
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of what git knows of the program, with private files that somebody left."""
    folder = tmp_path_factory.mktemp("checkout")
    known = _git(PROJECT, "ls-files", *SHIPPED, "pyproject.toml", "README.md", "LICENSE")
    for path in known.splitlines():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PROJECT / path, target)
    _git(folder, "init", "--quiet")
    _git(folder, "add", ".")
    _git(folder, "commit", "--quiet", "--message", "all")
    for path in PRIVATE:
        (folder / path).write_text("private")
    return folder


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `uv build --wheel` makes it."""
    folder = tmp_path_factory.mktemp("wheel")
    build = "import sys, hatchling.build; hatchling.build.build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, str(folder)], cwd=checkout, check=True)
    return next(folder.glob("*.whl"))


def test_it_holds_the_program_in_one_folder_and_nothing_private(
    checkout: Path, wheel: Path
) -> None:
    files = zipfile.ZipFile(wheel).namelist()

    inside = {path.removeprefix("medloop/") for path in files if path.startswith("medloop/")}
    known = set(_git(checkout, "ls-files", *SHIPPED).splitlines())
    assert {path for path in known if not path.endswith(".sh")} == inside - {"GIT_COMMIT"}
    beside = {path for path in files if not path.startswith(("medloop/", "medloop-0.1.0."))}
    assert beside == {"medloop.pth"}


def test_it_runs_outside_a_checkout(checkout: Path, wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=False)
    site = next((tmp_path / "env" / "lib").glob("python*/site-packages"))
    zipfile.ZipFile(wheel).extractall(site)
    # The libraries of this environment, without its own path file, which leads to the checkout.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    (tmp_path / "medloop").mkdir()
    (tmp_path / "medloop" / ".env").write_text("MEDLOOP_HOST=127.0.0.7\n")
    # This folder is in another repository, whose commit is not the wheel's.
    _git(tmp_path, "init", "--quiet")

    kept = {name: value for name, value in os.environ.items() if not name.startswith("MEDLOOP_")}
    shown = subprocess.run(
        [tmp_path / "env" / "bin" / "python", "-P", "-c", SHOW, *PACKAGES],
        env=kept | {"HOME": str(tmp_path)},
        cwd=tmp_path,
        check=True,
        stdout=subprocess.PIPE,
    ).stdout

    assert json.loads(shown) == {
        **{package: str(site / "medloop" / package) for package in PACKAGES},
        "home": str(tmp_path / "medloop" / ".medloop"),
        "datasets": str(site / "medloop" / "datasets"),
        "commit": _git(checkout, "rev-parse", "HEAD"),
        "host": "127.0.0.7",
    }


def test_no_library_has_a_package_of_our_names() -> None:
    libraries = Path(sysconfig.get_path("purelib"))

    assert [name for name in PACKAGES if (libraries / name).exists()] == []


def _git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    command = ["git", "-C", str(folder), *who, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
