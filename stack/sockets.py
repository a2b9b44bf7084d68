"""Where unix sockets lie. Their paths may not be longer than 107 bytes; a home's path may."""

import hashlib
import tempfile
from pathlib import Path

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
