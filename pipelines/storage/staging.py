"""Who owns a staging folder, and how the staging of a dead writer is cleaned up.

Each writer stages in a folder of its own and keeps a lease in it: the file ``.owner``. A thread
renews the lease by setting its time of change; the file itself is written only once. Whoever
cleans up first renames the folder away. A writer that was wrongly taken for dead (suspended for
longer than `EXPIRY_SECONDS`) therefore no longer finds its ``.owner``, and cannot rename a folder
that lacks files into place.

All times are those of the store, not of the machines, so clocks that differ do no harm.
"""

import logging
import os
import secrets
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from pipelines.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from pipelines.storage.base import Store
    from pipelines.storage.renaming import RenamingStore

logger = logging.getLogger(__name__)

STAGING_PREFIX = ".staging-"
ABANDONED_PREFIX = ".abandoned-"
"""Of what is being deleted: it belongs to nobody, so anybody deletes what is left of it."""
OWNER = ".owner"
HEARTBEAT_SECONDS = 30.0
EXPIRY_SECONDS = 900.0
"""A writer on another machine counts as dead when its lease was not renewed for so long."""
ORPHAN_SECONDS = 86_400.0
"""Staging without a lease (a single file, or what an executor wrote after its driver died) is
deleted when it is older than this."""


class Writer(BaseModel):
    """The process that writes a staging folder; the content of ``.owner``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    machine: str
    """The boot and the process namespace; empty where the system does not name them."""
    pid: int
    started: str
    """When the process started, in clock ticks since the boot: process IDs are used again."""

    @property
    def is_proven_dead(self) -> bool:
        """Whether the process ran on this machine and no longer does."""
        return (
            bool(self.machine)
            and self.machine == _machine()
            and _started(self.pid) != (self.started)
        )


class Lease:
    """The claim of this process on what it writes, for as long as the block lasts.

    Args:
        store: where it writes.
        path: of the file that says so; it must not exist.

    Raises:
        StoreUnavailable: the store does not answer.
    """

    def __init__(self, store: "Store", path: str) -> None:
        self._store = store
        self._path = path
        writer = Writer(machine=_machine(), pid=os.getpid(), started=_started(os.getpid()) or "")
        store.write(self._path, writer.model_dump_json().encode())
        self.began = store.modified(self._path)
        """The store's time, in seconds since 1970."""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="staging-lease", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _renew(self) -> None:
        offset = self.began - time.monotonic()
        while not self._ended.wait(HEARTBEAT_SECONDS):
            try:
                self._store.set_modified(self._path, offset + time.monotonic())
            except NotFound:
                return
            except (Unavailable, OSError) as error:
                logger.warning("%s was not renewed: %s", self._path, error)


def sweep(store: "RenamingStore", folder: str, *, now: float) -> None:
    """Delete the staging of dead writers in a folder.

    Args:
        store: where it is.
        folder: path of the folder.
        now: the store's time, in seconds since 1970.
    """
    for name in store.hidden(folder):
        path = f"{folder}/{name}" if folder else name
        if name.startswith(ABANDONED_PREFIX):
            store.delete(path)
        elif name.startswith(STAGING_PREFIX) and _is_dead(store, path, now=now):
            logger.info("Deleting %s: its writer is dead", store.uri(path))
            discard(store, path)


def dead_in(store: "RenamingStore", folder: str) -> list[str]:
    """See `Store.dead_in`."""
    now, found = time.time(), []
    for name in store.hidden(folder):
        path = f"{folder}/{name}" if folder else name
        is_staging = name.startswith(STAGING_PREFIX)
        if name.startswith(ABANDONED_PREFIX) or (is_staging and _is_dead(store, path, now=now)):
            found.append(path)
    return found


def discard(store: "RenamingStore", path: str) -> None:
    """See `Store.discard`."""
    parent, _, _ = path.rpartition("/")
    aside = f"{ABANDONED_PREFIX}{secrets.token_hex(8)}"
    aside = f"{parent}/{aside}" if parent else aside
    try:
        store.rename(path, aside)
    except NotFound:
        return
    store.delete(aside)


def _is_dead(store: "RenamingStore", path: str, *, now: float) -> bool:
    try:
        renewed = store.modified(f"{path}/{OWNER}")
        writer = Writer.model_validate_json(store.read(f"{path}/{OWNER}"))
    except (NotFound, ValidationError):
        try:
            return now - store.modified(path) > ORPHAN_SECONDS
        except NotFound:
            return False
    return writer.is_proven_dead or now - renewed > EXPIRY_SECONDS


def _machine() -> str:
    """The boot and the process namespace of this process; empty if the system names none."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """When a process of this machine started; ``None`` if it does not run."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
    except OSError:
        return None
    state, *fields = text.rpartition(")")[2].split()
    return None if state in "ZX" else fields[18]
