import os
import re
import subprocess
from pathlib import Path

import pytest

from pipelines.errors import SettingsError
from pipelines.settings import Settings
from stack.systemd import Scope, service, stop_seconds
from stack.testing import isolated_settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in [name for name in os.environ if name.startswith("MEDLOOP_")]:
        monkeypatch.delenv(name)
    return isolated_settings(tmp_path / "100% a home")


@pytest.mark.parametrize("scope", ["user", "system"])
def test_systemd_reads_every_line(
    settings: Settings, scope: Scope, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDLOOP_ENV_FILE", '/opt/a "new" folder, 100%/.env')
    file = tmp_path / "medloop.service"
    file.write_text(service(settings, scope, user="daemon").unit)

    # The user's manager wants a folder for its sockets, of which none is made.
    checked = subprocess.run(
        ["systemd-analyze", "verify", f"--{scope}", str(file)],
        env=os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_stack_has_as_long_to_stop_as_its_parts_together(settings: Settings) -> None:
    slow = settings.model_copy(update={"service_stop_seconds": settings.service_stop_seconds + 100})

    assert f"\nTimeoutStopSec={stop_seconds(slow)}\n" in service(slow, "system", user="a").unit
    assert stop_seconds(slow) == stop_seconds(settings) + 100
    assert stop_seconds(settings) > settings.service_kill_seconds


def test_the_supervisor_it_follows_is_the_stacks(settings: Settings) -> None:
    unit = service(settings, "user", user="a").unit

    (pid_file,) = re.findall(r"^PIDFile=(.*)$", unit, re.MULTILINE)
    assert pid_file == f"{settings.home}/supervisor/supervisord.pid".replace("%", "%%")
    assert "\nUser=" not in unit
    assert "\nUser=a\n" in service(settings, "system", user="a").unit


def test_root_does_not_run_the_stack_as_a_system_service(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="as the user who is to run the stack"):
        service(settings, "system", user="root")


def test_what_is_set_in_this_shell_alone_is_refused(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDLOOP_ENV_FILE", "/etc/medloop.env")
    monkeypatch.setenv("MEDLOOP_SERVICE_PORT", "3001")

    with pytest.raises(SettingsError, match=r"SERVICE_PORT\. Write them into /etc/medloop.env"):
        service(settings, "user", user="a")
    monkeypatch.delenv("MEDLOOP_SERVICE_PORT")
    assert '"MEDLOOP_ENV_FILE=/etc/medloop.env"' in service(settings, "user", user="a").unit
