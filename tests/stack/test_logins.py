"""Where others can reach it, MLflow asks who is there; our own commands know, and nobody else."""

import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

import stack
from pipelines.errors import SettingsError
from pipelines.settings import Settings
from pipelines.tracking.client import Tracking, open_tracking
from pipelines.tracking.login import own_login_file
from stack import tracking_login
from stack.testing import running_stack

SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """MLflow on every address of this machine."""
    home = tmp_path_factory.mktemp("logins")
    with running_stack(["mlflow"], home=home, host="0.0.0.0") as settings:
        yield settings


@pytest.fixture
def _no_login_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a client of MLflow sets in this process is gone after the test."""
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def ask(settings: Settings, *, login: tuple[str, str] | None = None, name: str = "") -> int:
    headers = {"Host": name} if name else {}
    url = settings.mlflow_address + SEARCH
    return httpx.get(url, auth=login, headers=headers, trust_env=False).status_code


def test_nobody_comes_in_without_the_password_or_by_a_foreign_name(settings: Settings) -> None:
    (login,) = stack.logins(settings)
    assert ask(settings) == httpx.codes.UNAUTHORIZED
    assert ask(settings, login=(login.user, "guessed")) == httpx.codes.UNAUTHORIZED
    assert ask(settings, login=(login.user, login.password)) == httpx.codes.OK
    foreign = ask(settings, login=(login.user, login.password), name="rebound.example")
    assert foreign == httpx.codes.FORBIDDEN


@pytest.mark.usefixtures("_no_login_yet")
def test_our_own_commands_log_in_with_the_file(settings: Settings, tmp_path: Path) -> None:
    tracking = open_tracking(settings)
    experiment = tracking.experiment("kept", title="kept")
    run = tracking.client.create_run(experiment).info.run_id
    tracking.upload_text(run, "note.txt", "an artifact")
    assert tracking.download(run, "note.txt", target=tmp_path).read_text() == "an artifact"


@pytest.mark.usefixtures("_no_login_yet")
def test_a_refused_login_is_an_error_that_names_the_file(
    settings: Settings, tmp_path: Path
) -> None:
    wrong = tmp_path / "login.json"
    wrong.write_text('{"username": "admin", "password": "guessed"}')
    with pytest.raises(SettingsError, match=rf"{wrong}.*MEDLOOP_MLFLOW_LOGIN_FILE"):
        Tracking(settings.tracking_uri, wrong).artifacts("0" * 32)
    wrong.write_text("no login")
    with pytest.raises(SettingsError, match=r"login\.json is no login"):
        Tracking(settings.tracking_uri, wrong).artifacts("0" * 32)


def test_the_password_is_in_private_files_only(settings: Settings) -> None:
    (login,) = stack.logins(settings)
    assert login.password not in repr(login)
    for file in own_login_file(settings).parent.glob("*.*"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    (pid,) = [part.pid for part in stack.status(settings) if part.name == "mlflow"]
    server = psutil.Process(pid)
    for process in [server, *server.children(recursive=True)]:
        shown = " ".join([*process.cmdline(), *process.environ().values()])
        assert login.password not in shown
    assert login.password not in (settings.home / "supervisor/supervisord.conf").read_text()
    assert login.password not in (settings.home / "logs" / "mlflow.log").read_text()


def test_on_loopback_nobody_is_asked_unless_it_is_wanted(tmp_path: Path) -> None:
    assert not tracking_login.is_guarded(Settings(home=tmp_path))
    assert tracking_login.is_guarded(Settings(home=tmp_path, mlflow_auth="on"))
    assert tracking_login.is_guarded(Settings(home=tmp_path, host="0.0.0.0"))


def test_what_has_no_login_stays_on_loopback(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, host="0.0.0.0")
    assert settings.store_root == "hdfs://127.0.0.1:8020/medloop"
    assert settings.webhdfs == "http://127.0.0.1:9870"
    assert settings.tracking_uri == "http://127.0.0.1:5000"
    beyond = Settings(home=tmp_path, host="192.0.2.7")
    assert beyond.store_root == "hdfs://127.0.0.1:8020/medloop"
    assert beyond.tracking_uri == "http://192.0.2.7:5000"
