"""A unix socket's path stays below the system's limit wherever the home is."""

import socket
import stat
import tempfile
from pathlib import Path

import pytest

from pipelines.errors import StackError
from pipelines.settings import Settings
from pipelines.sockets import make_socket_folder, socket_folder


def test_sockets_lie_in_the_home_where_its_path_is_short() -> None:
    assert socket_folder(Settings(home=Path("/srv/medloop")), "pg") == Path("/srv/medloop/run/pg")


def test_a_deep_home_has_its_sockets_in_a_short_folder_of_its_own(tmp_path: Path) -> None:
    homes = [tmp_path / ("deep" * 30) / name for name in ("one", "two")]
    folders = [socket_folder(Settings(home=home), "supervisor") for home in homes]
    assert folders[0] != folders[1]
    for folder in folders:
        make_socket_folder(folder)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(folder / "supervisor.sock.1234567"))
        (folder / "supervisor.sock.1234567").unlink()
        folder.rmdir()
        folder.parent.rmdir()


def test_a_socket_folder_that_another_user_made_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = socket_folder(Settings(home=tmp_path / ("deep" * 30)), "pg")
    folder.parent.mkdir()
    monkeypatch.setattr("os.geteuid", lambda: folder.parent.stat().st_uid + 1)
    with pytest.raises(StackError, match="belongs to another user"):
        make_socket_folder(folder)
