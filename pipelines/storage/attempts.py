"""The commit of a folder to an object store, step by step; see `pipelines.storage.object_store`.

What a writer and whoever takes it for dead may both do is decided by ``.sealed``, which only one of
them creates. A commit that was sealed and not finished is finished by the next sweep.
"""

import logging
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from pipelines.errors import NotFound, StoreUnavailable
from pipelines.storage import staging
from pipelines.storage.base import MANIFEST
from pipelines.storage.staging import STAGING_PREFIX, Lease, Writer

if TYPE_CHECKING:
    from pipelines.storage.object_store import ObjectStore

logger = logging.getLogger(__name__)

ENTRY = ".folder"
SEAL = ".sealed"
DATA_PREFIX = ".data-"
COMMITTED, ABANDONED = b"committed", b"abandoned"


@dataclass(frozen=True)
class Attempt:
    """One writer's attempt to commit a folder."""

    folder: str
    """The folder in which the committed one will be."""
    name: str
    token: str

    @classmethod
    def of_data(cls, path: str) -> "Attempt | None":
        """The attempt whose data are at ``path``; ``None`` if it is something else."""
        folder, _, last = path.rpartition("/")
        name, _, token = last.removeprefix(DATA_PREFIX).rpartition("-")
        is_data = last.startswith(DATA_PREFIX) and name
        return cls(folder, name, token) if is_data else None

    @property
    def path(self) -> str:
        """Where the committed folder will be."""
        return f"{self.folder}/{self.name}"

    @property
    def data(self) -> str:
        """Where its files are."""
        return f"{self.folder}/{DATA_PREFIX}{self.name}-{self.token}"

    @property
    def lease(self) -> str:
        """The object that the writer renews."""
        return f"{self.folder}/{STAGING_PREFIX}{self.name}-{self.token}"

    @property
    def seal(self) -> str:
        """What decides between the writer and whoever takes it for dead."""
        return f"{self.data}/{SEAL}"

    @property
    def entry(self) -> bytes:
        """What the entry says where this attempt is the one that counts."""
        return self.data.rpartition("/")[2].encode()


@contextmanager
def attempt(store: "ObjectStore", path: str) -> Iterator[Attempt]:
    """An attempt of this process, with its lease; what is not published is removed at the end."""
    store.require_layout()
    folder, _, name = path.rpartition("/")
    assert folder, f"{path}: a folder is committed below the folder of its data set"
    this = Attempt(folder, name, secrets.token_hex(8))
    try:
        with Lease(store, this.lease) as lease:
            sweep(store, folder, now=lease.began)
            yield this
    finally:
        if store._entry(path) != this.data:
            store.objects.delete(this.data)
        store.objects.delete(this.lease)


def publish(store: "ObjectStore", this: Attempt, *, replaces: bool = False) -> None:
    """Make the files of an attempt appear, unless another folder is there.

    Args:
        store: where.
        this: the attempt of this process.
        replaces: whether to take the place of what is there.

    Raises:
        StoreUnavailable: another process has taken this one for dead.
    """
    lost = StoreUnavailable(
        f"{store.uri(this.path)} was not written: this process did not run for so long that "
        "another took it for dead and deleted what it had written. Run the step again."
    )
    if store.objects.find(this.lease) is None or _settle(store, this.seal, COMMITTED) != COMMITTED:
        raise lost
    entry = f"{this.path}/{ENTRY}"
    old = store._entry(this.path)
    if old is None and not _make_way(store, this, replaces=replaces):
        return
    if replaces:
        store.objects.put(entry, this.entry)
        if old is not None and old != this.data:
            store.objects.delete(old)
    elif _settle(store, entry, this.entry) != this.entry:
        return
    if store.objects.find(this.seal) is None:  # suspended for a day, just here
        store.objects.delete(entry)
        raise lost


def _make_way(store: "ObjectStore", this: Attempt, *, replaces: bool) -> bool:
    """Remove half a folder that was copied here; ``False`` if a whole one is there."""
    there = store.objects.list(this.path)
    is_half = MANIFEST not in there and store.objects.find(f"{this.data}/{MANIFEST}") is not None
    if there and not (replaces or is_half):
        return False
    if there:
        store.objects.delete(this.path)
    return True


def sweep(store: "ObjectStore", folder: str, *, now: float) -> None:
    """Finish or delete what dead writers left in a folder.

    Args:
        store: where it is.
        folder: path of the folder.
        now: the server's time, in seconds since 1970.
    """
    for dead in _dead(store, folder, now=now):
        logger.info("Deleting %s: its writer is dead", store.uri(dead.data))
        abandon(store, dead)


def dead_in(store: "ObjectStore", folder: str) -> list[str]:
    """See `Store.dead_in`."""
    return [dead.data for dead in _dead(store, folder, now=time.time())]


def abandon(store: "ObjectStore", dead: Attempt) -> None:
    """Delete what a dead writer left, or finish what it had sealed."""
    if store.objects.find(dead.lease) is None:  # it has ended; nobody will publish this
        if store._entry(dead.path) != dead.data:
            store.objects.delete(dead.data)
        return
    entry = f"{dead.path}/{ENTRY}"
    if _settle(store, dead.seal, ABANDONED) == COMMITTED:
        if store.objects.find(dead.lease) and _settle(store, entry, dead.entry) != dead.entry:
            store.objects.delete(dead.data)
    else:
        # The writer may only be suspended: the seal stays for a day.
        kept = set() if _is_proven_dead(store, dead) else {SEAL}
        for name in set(store.objects.list(dead.data)) - kept:
            store.objects.delete(f"{dead.data}/{name}")
    store.objects.delete(dead.lease)


def _dead(store: "ObjectStore", folder: str, *, now: float) -> Iterator[Attempt]:
    listing = store.objects.list(folder)
    found = [Attempt.of_data(f"{folder}/{name}") for name in listing]
    data = {this for this in found if this is not None}
    leases = [name for name in listing if name.startswith(STAGING_PREFIX)]
    for name in leases:
        this = Attempt.of_data(f"{folder}/{DATA_PREFIX}{name.removeprefix(STAGING_PREFIX)}")
        if this is not None:
            data.discard(this)
            if _writer_is_dead(store, this, renewed=listing[name].modified, now=now):
                yield this
    for this in data:
        # Of a folder with one attempt that has an entry, this is the one that the entry names.
        is_alone = sum(other.name == this.name for other in data) == 1
        if not (is_alone and this.name in listing) and _is_left(store, this, now=now):
            yield this


def _writer_is_dead(store: "ObjectStore", this: Attempt, *, renewed: float, now: float) -> bool:
    return now - renewed > staging.EXPIRY_SECONDS or _is_proven_dead(store, this)


def _is_proven_dead(store: "ObjectStore", this: Attempt) -> bool:
    try:
        return Writer.model_validate_json(store.objects.get(this.lease)).is_proven_dead
    except (NotFound, ValidationError):
        return False


def _is_left(store: "ObjectStore", this: Attempt, *, now: float) -> bool:
    """Whether data without a lease are of no committed folder, and have been for a day."""
    if store.objects.find(this.lease) or store._entry(this.path) == this.data:
        return False
    times = [found.modified for found in store.objects.list(this.data).values()]
    return now - max(times, default=now) > staging.ORPHAN_SECONDS


def _settle(store: "ObjectStore", path: str, content: bytes) -> bytes:
    """Create an object if there is none; what it says then, whoever has created it."""
    return content if store.objects.create(path, content) else store.objects.get(path)
