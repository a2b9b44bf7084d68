"""Where unix sockets lie. Their paths may not be longer than 107 bytes; a home's path may."""

import hashlib
import os
import tempfile
from pathlib import Path

from pipelines.errors import StackError
from pipelines.settings import Settings

LONGEST = 107
"""Most bytes of a unix socket's path."""
ROOM = 24
"""Bytes that the longest socket's name (``/supervisor.sock.1234567``) may take."""


def socket_folder(settings: Settings, name: str) -> Path:
    """The folder of a part's sockets: in the home, or in a temporary folder if that is too deep."""
    inside = settings.home / "run" / name
    if len(bytes(inside)) + ROOM <= LONGEST:
        return inside
    digest = hashlib.sha256(bytes(settings.home)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"medloop-{digest}" / name


def make_socket_folder(folder: Path) -> None:
    """Make the folder of a part's sockets, closed to other users.

    Raises:
        StackError: another user has made it, and so could lead our clients to a server of theirs.
    """
    folder.parent.parent.mkdir(parents=True, exist_ok=True)
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    if folder.parent.stat().st_uid != os.geteuid():
        raise StackError(
            f"The folder {folder.parent} belongs to another user. Remove it, or set MEDLOOP_HOME "
            "to a folder of yours with a shorter path."
        )
    folder.mkdir(mode=0o700, exist_ok=True)
