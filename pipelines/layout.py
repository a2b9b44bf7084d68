"""Which version of Medloop's layout a home or a store has, and how an older one is brought up.

``layout.json`` in it says so. One without that file is of version 0, or new. An older one is
migrated step by step at first use; a newer one is refused, as this code could misread it.

A step must bear being killed and done again: the version is written after it.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from pipelines.errors import LayoutError

if TYPE_CHECKING:
    from pipelines.storage.base import Store

logger = logging.getLogger(__name__)

FILE = "layout.json"
Step = Callable[["Store"], None]


class Stamp(BaseModel):
    """What ``layout.json`` says."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: int
    medloop: str = "unknown"
    """The release that wrote it."""


@dataclass(frozen=True)
class Layout:
    """A kind of folder that has a layout.

    Args:
        what: the kind, for messages.
        steps: step N brings version N to N + 1.
    """

    what: str
    steps: Sequence[Step]

    @property
    def version(self) -> int:
        """The version this code reads and writes."""
        return len(self.steps)

    def require(self, store: "Store") -> None:
        """Make sure that a folder has this layout; migrates an older one, stamps a new one.

        Raises:
            LayoutError: a newer Medloop wrote it, or its stamp cannot be read.
            StoreUnavailable: the store does not answer.
        """
        stamp = read_stamp(store)
        if stamp.version > self.version:
            raise LayoutError(
                f"The {self.what} {store.root} has layout {stamp.version}, written by Medloop "
                f"{stamp.medloop}; this is Medloop {version('medloop')}, which knows layouts up to "
                f"{self.version}. Use Medloop {stamp.medloop} or newer, or restore a backup that "
                "was taken before it (medloop restore-backup)."
            )
        self.migrate(store, since=stamp.version)

    def migrate(self, store: "Store", *, since: int) -> None:
        """Bring what has layout ``since`` up, and stamp it; errors as of `require`."""
        for number in range(since, self.version):
            logger.info("%s: layout %d becomes %d", store.root, number, number + 1)
            self.steps[number](store)
            _write(store, Stamp(version=number + 1, medloop=version("medloop")))


def read_stamp(store: "Store") -> Stamp:
    """The layout a folder has; version 0 where nothing says so.

    Raises:
        LayoutError: the stamp cannot be read.
    """
    if not store.exists(FILE):
        return Stamp(version=0)
    try:
        return Stamp.model_validate_json(store.read(FILE))
    except ValidationError as error:
        raise LayoutError(
            f"{store.uri(FILE)} is no layout file ({error.errors()[0]['msg']}). Put it back from a "
            "backup; remove it only if you know that no newer Medloop wrote here."
        ) from error


def _write(store: "Store", stamp: Stamp) -> None:
    store.replace(FILE, stamp.model_dump_json().encode() + b"\n")


def _sweep(store: "Store") -> None:
    """0 → 1: nothing moves; the stamp is all that is new."""


def _tables(store: "Store") -> None:
    """1 → 2: the indexes of snapshots become Delta tables."""
    from pipelines.data.migrate import migrate

    migrate(store)


def _records(store: "Store") -> None:
    """2 → 3: splits become a Delta table, too."""
    from pipelines.data.split.migrate import migrate

    migrate(store)


STORE = Layout("store", [_sweep, _tables, _records])
HOME = Layout("home", [_sweep])
