"""Real parts for the tests, started once a session on free ports, apart from any user's stack.

The tests read no settings but their own: not the variables of the shell that runs them, not the
file ``.env`` of the checkout, not the files in the user's home folder.
"""

import atexit
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from xdist.scheduler import LoadFileScheduling

from pipelines.isolation import isolated_environment
from pipelines.settings import Settings, get_settings
from pipelines.stage import Context
from pipelines.storage import open_store
from pipelines.storage.local import LocalStore

if TYPE_CHECKING:
    from pipelines.release.predictor import Predictor
    from tests.pipelines.storage.s3_server import S3Server


def _isolate() -> None:
    """Before any test is imported: what they import may read the environment."""
    own = isolated_environment()
    home = Path.home()
    # What can be made again is shared; it takes long.
    own.setdefault("XDG_CACHE_HOME", str(home / ".cache"))
    # git refuses a checkout of another user unless this file trusts it.
    own.setdefault("GIT_CONFIG_GLOBAL", str(home / ".gitconfig"))
    # Nor is the size of the terminal that calls: Rich reads it once, when a console is made.
    for name in ("COLUMNS", "LINES"):
        own.pop(name, None)
    # Without compiled modules, each process that imports TensorFlow compiles them for 8 s.
    own.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    own["HOME"] = own["XDG_CONFIG_HOME"] = tempfile.mkdtemp(prefix="medloop-tests-")
    # The state of the checkout's own installation is none of the tests' business.
    own["MEDLOOP_HOME"] = str(Path(own["HOME"]) / "medloop")
    atexit.register(shutil.rmtree, own["HOME"], ignore_errors=True)
    os.environ.clear()
    os.environ.update(own)


_isolate()

if not hasattr(sys.modules["__main__"], "__file__"):
    # PySpark takes a process that runs no file (one of pytest-xdist's) for a doctest, and ends it.
    sys.modules["__main__"].__file__ = __file__


TOGETHER = ("tests/end_to_end/", "tests/serving/")
"""The files of each share what takes long to start, a whole stack and a service, so one worker runs
them all. They take longest, in this order: they begin."""


def _together(nodeid: str) -> str | None:
    return next((folder for folder in TOGETHER if nodeid.startswith(folder)), None)


class _FilesTogether(LoadFileScheduling):  # type: ignore[misc]
    """Gives each worker whole files, and those that belong together to one worker."""

    def _split_scope(self, nodeid: str) -> str:
        return _together(nodeid) or str(super()._split_scope(nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _FilesTogether:
    """How pytest-xdist deals tests out to its workers."""
    return _FilesTogether(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    order = {folder: place for place, folder in enumerate(TOGETHER)}
    items.sort(key=lambda item: order.get(_together(item.nodeid) or "", len(order)))


@pytest.fixture(autouse=True)
def _levels_of_loggers() -> Iterator[None]:
    """A command that a test runs in this process sets them; the next test must not notice."""
    loggers = [logging.getLogger(name) for name in ("", "pipelines", "stack", "urllib3")]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings of an installation of the test's own: state and store below ``tmp_path``."""
    monkeypatch.setenv("MEDLOOP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MEDLOOP_STORE", (tmp_path / "store").as_uri())
    get_settings.cache_clear()
    yield get_settings()
    get_settings.cache_clear()


@pytest.fixture
def local_store(tmp_path: Path) -> LocalStore:
    """An empty store in a folder."""
    return LocalStore(tmp_path / "store")


@pytest.fixture
def context(installation: Settings) -> Context:
    """A context on a local store."""
    return Context(settings=installation, store=open_store(installation))


@pytest.fixture(scope="session")
def hdfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A real NameNode and DataNode."""
    from stack.testing import running_stack

    with running_stack(["hdfs"], home=tmp_path_factory.mktemp("hdfs")) as settings:
        yield settings


@pytest.fixture(scope="session")
def _s3_server() -> Iterator["S3Server"]:
    from tests.pipelines.storage.s3_server import s3_server

    with s3_server() as server:
        yield server


@pytest.fixture
def s3(_s3_server: "S3Server") -> Iterator["S3Server"]:
    """A real S3 server, with its credentials in the file of this test run's user."""
    from tests.pipelines.storage.s3_server import credentials

    with credentials():
        yield _s3_server


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A real MLflow server on a real PostgreSQL."""
    from stack.testing import running_stack

    with running_stack(["mlflow"], home=tmp_path_factory.mktemp("mlflow")) as settings:
        yield settings


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny bundle for ``phantom``, version 1."""
    from tests.serving.bundles import make_bundle

    return make_bundle(tmp_path_factory.mktemp("bundles") / "phantom-1")


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where compiled models are kept."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def predictor(bundle: Path, cache: Path) -> "Predictor":
    """The bundle, loaded."""
    from pipelines.release.predictor import open_predictor

    return open_predictor(bundle, "openvino", cache=cache, threads=1)
