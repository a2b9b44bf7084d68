"""Keyed hashes: pseudonyms of patients, and the list of erased images.

A pseudonym is an HMAC-SHA256: the same patient has the same pseudonym in every landing, and without
the key nobody can find the patient, not even by trying every name. The key is a random secret of
this installation, ``$MEDLOOP_HOME/pseudonyms.key`` (readable by its owner only). Back it up: with a
new key, later DICOM files of the same patients count as new patients.

Erased images are refused when they land again. The certificate of an erasure
(``<dataset>/erasures/<id>/certificate.json``) holds a keyed hash of each.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

from pipelines.atomic import make_private
from pipelines.errors import SettingsError
from pipelines.settings import Settings
from pipelines.stage import Context

FOLDER = "erasures"
CERTIFICATE = "certificate.json"
ERASED = "erased"
"""Reason of a file whose image was erased."""
KEY_FILE = "pseudonyms.key"
KEY_BYTES = 32


@dataclass(frozen=True)
class Pseudonyms:
    """Creates pseudonyms with one key."""

    key: bytes = field(repr=False)

    def of(self, kind: str, value: str) -> str:
        """The pseudonym of ``value``, 16 hexadecimal digits; it differs for each ``kind``."""
        return self._digest(kind, value).hex()[:16]

    def uid(self, uid: str) -> str:
        """The pseudonym of a DICOM UID: ``2.25.`` and a number (PS3.5, B.2)."""
        return f"2.25.{int.from_bytes(self._digest('uid', uid)[:16])}"

    def _digest(self, kind: str, value: str) -> bytes:
        message = f"{kind}\0{value}".encode("utf-8", "surrogateescape")
        return hmac.new(self.key, message, hashlib.sha256).digest()


def load_pseudonyms(settings: Settings) -> Pseudonyms:
    """The pseudonyms of this installation; creates its key if there is none.

    Raises:
        SettingsError: the key file has the wrong size.
    """
    path = settings.home / KEY_FILE
    if not path.exists():
        make_private(path, secrets.token_bytes(KEY_BYTES))
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise SettingsError(
            f"{path} holds {len(key)} bytes, not a key of {KEY_BYTES}. Put the right file back; "
            "without it, patients get new pseudonyms."
        )
    return Pseudonyms(key)


MESSAGE = (
    "This image was erased and is refused. Remove the file from the landing folder "
    "(medloop locate prints its path)."
)


def keyed(names: Pseudonyms, value: str) -> str:
    """The keyed hash of a sha256 or a path, as certificates store it."""
    return names.of("erased", value)


@dataclass(frozen=True)
class Erased:
    """The erased images of a data set."""

    names: Pseudonyms
    hashes: frozenset[str]
    """Keyed hashes of sha256."""

    def has(self, sha256s: Iterable[str | None]) -> bool:
        """Whether one of these hashes, of an original or a landed file, was erased."""
        return bool(self.hashes) and any(
            keyed(self.names, one) in self.hashes for one in sha256s if one
        )


def erased_images(context: Context, dataset: str) -> Erased:
    """The erased images of a data set.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    folder = f"{dataset}/{FOLDER}"
    found: set[str] = set()
    for name in context.store.names(folder):
        found |= set(context.store.read_json(f"{folder}/{name}/{CERTIFICATE}")["refused"])
    return Erased(load_pseudonyms(context.settings), frozenset(found))
