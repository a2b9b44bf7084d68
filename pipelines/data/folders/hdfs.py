"""A landing folder in HDFS, through the store's client over WebHDFS."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from hdfs.util import HdfsError

from pipelines.data.folders.base import FileState, LandingFolder
from pipelines.errors import BadImage, LandingError, MedloopError, NotFound, StoreUnavailable
from pipelines.storage.hdfs import HdfsStore


class HdfsFolder(LandingFolder):
    """A folder in the installation's HDFS. Other processes receive its arguments.

    Args:
        location: ``hdfs:///PATH``.
        webhdfs: URL of the NameNode's HTTP port.
        user: HDFS user.
    """

    def __init__(self, location: str, *, webhdfs: str, user: str) -> None:
        super().__init__(location)
        self._webhdfs = webhdfs
        self._user = user

    @property
    def _store(self) -> HdfsStore:
        return _client(self.location, self._webhdfs, self._user)

    def exists(self) -> bool:
        status = self._status("")
        return status is not None and status["type"] == "DIRECTORY"

    def state(self, path: str) -> FileState | None:
        status = self._status(path)
        return _state(path, status) if status and status["type"] == "FILE" else None

    def _status(self, path: str) -> dict[str, Any] | None:
        try:
            return self._store.status(path)
        except HdfsError as error:
            raise self._refusal(path, error) from error

    def _refusal(self, path: str, error: HdfsError) -> MedloopError:
        if error.exception == "AccessControlException":
            return LandingError(
                f"{self.location}/{path} cannot be read ({error.message}). Correct its "
                f"permissions: {self._user} must be able to read it, and every folder above it."
            )
        # Not the folder's fault: no DataNode may have a block at the moment, for example.
        return StoreUnavailable(f"HDFS cannot read {self.location}/{path}: {error}")

    def all_files(self) -> list[FileState]:
        return sorted(self._below(""), key=lambda state: state.path)

    def _below(self, prefix: str) -> Iterator[FileState]:
        try:
            found = self._store.statuses(prefix)
        except HdfsError as error:
            if prefix and error.exception == "FileNotFoundException":
                return  # deleted while its parent was listed
            raise self._refusal(prefix, error) from error
        for name, status in found.items():
            if name.startswith("."):
                continue
            if status["type"] == "DIRECTORY":
                yield from self._below(f"{prefix}{name}/")
            else:
                yield _state(f"{prefix}{name}", status)

    @contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        try:
            with self._store.open(path) as file:
                yield file
        except NotFound as error:
            raise BadImage("unreadable", "The file was deleted from HDFS.") from error
        except HdfsError as error:
            if error.exception == "AccessControlException":
                raise BadImage("unreadable", f"HDFS refuses the file ({error.message}).") from error
            raise self._refusal(path, error) from error

    def add(self, path: str, data: bytes) -> bool:
        part = f"{path.rpartition('/')[0]}/.upload-{secrets.token_hex(8)}".lstrip("/")
        try:
            self._store.write(part, data)
            try:
                return self._store.rename(part, path)
            finally:
                self._store.delete(part)
        except HdfsError as error:
            if error.exception == "AccessControlException":
                raise LandingError(
                    f"{self.location}/{path} cannot be written ({error.message}). Correct its "
                    f"permissions: {self._user} must be able to write there."
                ) from error
            raise StoreUnavailable(f"HDFS cannot write {self.location}/{path}: {error}") from error

    def local(self, path: str, scratch: Path) -> Path:
        copy = scratch / path
        self._store.download(path, copy)
        return copy


def _state(path: str, status: dict[str, Any]) -> FileState:
    milliseconds = int(status["modificationTime"])
    identity = str(status.get("fileId") or "")  # never reused; other servers may not send it
    size = int(status["length"])
    return FileState(path, size, milliseconds * 10**6, milliseconds / 1e3, identity)


@lru_cache(maxsize=8)
def _client(location: str, webhdfs: str, user: str) -> HdfsStore:
    return HdfsStore(location, webhdfs=webhdfs, user=user)
