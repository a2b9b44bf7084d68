"""A unix socket's path stays below the system's limit wherever the home is."""

import socket
from pathlib import Path

from pipelines.settings import Settings
from stack.sockets import socket_folder


def test_sockets_lie_in_the_home_where_its_path_is_short() -> None:
    assert socket_folder(Settings(home=Path("/srv/medloop")), "pg") == Path("/srv/medloop/run/pg")


def test_a_deep_home_has_its_sockets_in_a_short_folder_of_its_own(tmp_path: Path) -> None:
    homes = [tmp_path / ("deep" * 30) / name for name in ("one", "two")]
    folders = [socket_folder(Settings(home=home), "supervisor") for home in homes]
    assert folders[0] != folders[1]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(folder / "supervisor.sock.1234567"))
        (folder / "supervisor.sock.1234567").unlink()
        folder.rmdir()
        folder.parent.rmdir()
