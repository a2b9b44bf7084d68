"""Stores that rename a file or folder atomically: HDFS and local file systems."""

import secrets
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.errors import NotFound, StoreUnavailable
from pipelines.storage.base import MANIFEST, Store
from pipelines.storage.staging import OWNER, STAGING_PREFIX, Lease, dead_in, discard, sweep


class RenamingStore(Store):
    """A folder is written beside its place, then renamed into place."""

    @abstractmethod
    def rename(self, source: str, target: str) -> bool:
        """Rename a file or folder atomically; ``False`` if something is at ``target`` already.

        Raises:
            NotFound: nothing is at ``source``.
        """

    @abstractmethod
    def _exchange(self, source: str, target: str) -> None:
        """Rename a file atomically, in the place of the one at ``target`` if there is one."""

    def create(self, path: str, data: bytes) -> bool:
        self.require_layout()
        if self.exists(path):
            return False
        staging = _staging(path)
        self.write(staging, data)
        is_placed = self.rename(staging, path)
        if not is_placed:
            self.delete(staging)
        return is_placed

    def replace(self, path: str, data: bytes) -> None:
        staging = _staging(path)
        self.write(staging, data)
        self._exchange(staging, path)

    def replace_file(self, local: Path, path: str) -> None:
        staging = _staging(path)
        self.upload(local, staging)
        self._exchange(staging, path)

    def exchange(self, local: Path, path: str) -> None:
        self.size(path)  # raises where there is none
        self.replace_file(local, path)

    def sweep(self, folder: str) -> None:
        probe = _staging(f"{folder}/probe")
        self.write(probe, b"")
        try:
            sweep(self, folder, now=self.modified(probe))
        finally:
            self.delete(probe)

    def dead_in(self, folder: str) -> list[str]:
        return dead_in(self, folder)

    def discard(self, path: str) -> None:
        discard(self, path)

    @contextmanager
    def commit(self, path: str) -> Iterator[str]:
        with self._staged(path) as staging:
            yield staging
            self._settle(staging, path)

    @contextmanager
    def recommit(self, path: str) -> Iterator[str]:
        with self._staged(path) as staging:
            yield staging
            while not self._renamed(staging, path):
                self.discard(path)

    @contextmanager
    def _staged(self, path: str) -> Iterator[str]:
        self.require_layout()
        parent, _, _ = path.rpartition("/")
        staging = _staging(path)
        try:
            with Lease(self, f"{staging}/{OWNER}") as lease:
                sweep(self, parent, now=lease.began)
                yield staging
            self.delete(f"{path}/{OWNER}")
        finally:
            self.delete(staging)

    def _settle(self, staging: str, path: str) -> None:
        if self._renamed(staging, path):
            return
        # Earlier releases could leave half a folder in place; nothing would ever replace it.
        is_whole = self.exists(f"{path}/{MANIFEST}") or not self.exists(f"{staging}/{MANIFEST}")
        if not is_whole:
            self.discard(path)
            self._renamed(staging, path)

    def _renamed(self, staging: str, path: str) -> bool:
        """Rename a staging folder into place; ``False`` if another folder is there.

        Raises:
            StoreUnavailable: another process has taken the writer of ``staging`` for dead.
        """
        try:
            if self.exists(f"{staging}/{OWNER}"):
                return self.rename(staging, path)
        except NotFound:
            pass
        if self.exists(path):
            return False
        raise StoreUnavailable(
            f"{self.uri(path)} was not written: this process did not run for so long that another "
            "took it for dead and deleted its staging folder. Run the step again."
        )


def _staging(path: str) -> str:
    """A new hidden path beside ``path``, for one writer."""
    parent, _, name = path.rpartition("/")
    hidden = f"{STAGING_PREFIX}{name}-{secrets.token_hex(8)}"
    return f"{parent}/{hidden}" if parent else hidden
