"""No password and no login of an address gets into what is shown, logged or sent."""

import json
import pickle
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

import stack
from pipelines.alerts.alert import Alert
from pipelines.cli import retrain
from pipelines.cli.app import app
from pipelines.errors import BadImage, SettingsError, TrackingUnavailable
from pipelines.redaction import password_of, without_credentials
from pipelines.settings import Settings, get_settings
from stack.scheduler_config import passwords_file, write_configuration
from stack.supervision import Supervisor

SECRET = "pa55-w0rd"
URL = f"https://bob:{SECRET}@mlflow.example:5000/x"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            f"no answer at {URL} (refused)",
            "no answer at https://***@mlflow.example:5000/x (refused)",
        ),
        (f"{URL} {URL}", "https://***@mlflow.example:5000/x https://***@mlflow.example:5000/x"),
        ("hdfs://token@nn:8020/a", "hdfs://***@nn:8020/a"),
        ("http://a:p@ss@host/", "http://***@host/"),
        ("http://host/a@b and bob@example.org", "http://host/a@b and bob@example.org"),
        ("curl -F image=@IMAGE http://host/predict", "curl -F image=@IMAGE http://host/predict"),
    ],
)
def test_the_login_of_an_address_is_hidden_and_nothing_else(text: str, shown: str) -> None:
    assert without_credentials(text) == shown


def test_the_password_of_an_address_is_found_as_it_is_sent() -> None:
    assert password_of("https://bob:a%2Fb@host") == "a/b"
    assert password_of("https://host") is None


def test_no_message_of_ours_holds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (TrackingUnavailable(f"MLflow at {URL}"), BadImage("broken", f"from {URL}")):
        assert SECRET not in f"{error} {error!r} {error.args}"
    again = pickle.loads(pickle.dumps(TrackingUnavailable(f"MLflow at {URL}")))
    assert str(again) == "MLflow at https://***@mlflow.example:5000/x"

    monkeypatch.setenv("MEDLOOP_SERVICE_CORS_ORIGINS", URL)
    get_settings.cache_clear()
    with pytest.raises(SettingsError, match="is no origin") as raised:
        get_settings()
    assert SECRET not in str(raised.value)
    get_settings.cache_clear()


def test_no_alert_holds_it() -> None:
    alert = Alert(
        kind="run_failed", severity="warning", subject=URL, title=URL, text=f"at {URL}", link=URL
    )

    assert SECRET not in alert.model_dump_json()
    assert SECRET not in alert.key


def test_no_command_prints_it(
    installation: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("MLFLOW_URI", "AIRFLOW_URL", "SERVICE_URL"):
        monkeypatch.setenv(f"MEDLOOP_{name}", URL)
    monkeypatch.setenv("COLUMNS", "200")
    get_settings.cache_clear()
    monkeypatch.setattr("pipelines.loop.leak_report", lambda _: "leaks.html")

    printed = CliRunner().invoke(app, ["settings"]).output
    retrain._show_urls(get_settings(), "phantom")
    printed += capsys.readouterr().out

    assert printed.count("https://***@mlflow.example:5000/x") == 7
    assert SECRET not in printed
    assert installation.home.name in printed


def test_the_stack_names_the_file_of_a_new_password_and_does_not_print_it(
    installation: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stack.up", lambda settings: write_configuration(settings))

    printed = CliRunner().invoke(app, ["stack", "up"]).output

    (login,) = stack.logins(installation)
    assert login.password == json.loads(passwords_file(installation).read_text())["admin"]
    assert f"user admin, password in {login.file}" in printed
    assert login.password not in printed


def test_the_configuration_that_holds_settings_is_private(tmp_path: Path) -> None:
    Supervisor(Settings(home=tmp_path, mlflow_uri=URL), [])._write_configuration()

    file = tmp_path / "supervisor" / "supervisord.conf"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
