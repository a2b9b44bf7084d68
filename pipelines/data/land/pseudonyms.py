"""Names that stand for a patient without telling who it is.

A pseudonym is a keyed hash (HMAC-SHA256): the same patient gets the same pseudonym in every
landing, so that groups hold, and nobody without the key can find out whose it is, not even by
trying every name. The key is a random secret of this installation, made once in
``$MEDLOOP_HOME/pseudonyms.key`` (readable by its owner only). Losing it is no danger to anyone,
but later DICOM files of the same patients would count as new ones: back it up.
"""

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.errors import SettingsError
from pipelines.settings import Settings

KEY_FILE = "pseudonyms.key"
KEY_BYTES = 32


@dataclass(frozen=True)
class Pseudonyms:
    """Makes pseudonyms with one key."""

    key: bytes = field(repr=False)

    def of(self, kind: str, value: str) -> str:
        """16 hexadecimal digits for ``value``; another ``kind`` of name gives others."""
        return self._digest(kind, value).hex()[:16]

    def uid(self, uid: str) -> str:
        """A DICOM UID that stands for ``uid``: ``2.25.`` and a number (PS3.5, B.2)."""
        return f"2.25.{int.from_bytes(self._digest('uid', uid)[:16])}"

    def _digest(self, kind: str, value: str) -> bytes:
        message = f"{kind}\0{value}".encode("utf-8", "surrogateescape")
        return hmac.new(self.key, message, hashlib.sha256).digest()


def load_pseudonyms(settings: Settings) -> Pseudonyms:
    """The pseudonyms of this installation; its key is made if there is none yet.

    Raises:
        SettingsError: the key file is not one of ours.
    """
    path = settings.home / KEY_FILE
    if not path.exists():
        _make_key(path)
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise SettingsError(
            f"{path} holds {len(key)} bytes, not a key of {KEY_BYTES}. Put the right file back; "
            "without it, patients get new pseudonyms."
        )
    return Pseudonyms(key)


def _make_key(path: Path) -> None:
    """Make the key file, whole or not at all; if two do it at once, the first one's stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
        path.hardlink_to(part)
    except FileExistsError:
        return
    finally:
        part.unlink(missing_ok=True)
