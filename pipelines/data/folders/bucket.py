"""A landing folder in a bucket: ``s3://``, ``gs://`` or ``abfs://``."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from pipelines.data.folders.base import FileState, LandingFolder
from pipelines.errors import BadImage, LandingError, NotFound
from pipelines.storage.objects import Access, Found, Objects


class BucketFolder(LandingFolder):
    """A folder of a bucket. Other processes receive its arguments.

    Args:
        location: ``s3://BUCKET/PATH``.
        access: how to reach the server.
    """

    def __init__(self, location: str, access: Access) -> None:
        super().__init__(location)
        self._access = access

    @property
    def _objects(self) -> Objects:
        return _client(self.location, self._access)

    def exists(self) -> bool:
        return self._objects.look("") is not None

    def state(self, path: str) -> FileState | None:
        found = self._objects.find(path)
        return _state(path, found) if found else None

    def all_files(self) -> list[FileState]:
        found = sorted(self._objects.walk().items())
        return [_state(path, one) for path, one in found if not _is_hidden(path)]

    @contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        try:
            with self._objects.open(path) as file:
                yield file
        except NotFound as error:
            raise BadImage("unreadable", f"The file was deleted from {self.location}.") from error

    def read(self, path: str) -> bytes:
        try:
            return self._objects.get(path)
        except NotFound as error:
            raise BadImage("unreadable", f"The file was deleted from {self.location}.") from error

    def add(self, path: str, data: bytes) -> bool:
        return self._objects.create(path, data)

    def local(self, path: str, scratch: Path) -> Path:
        # A key is arbitrary text, such as "/etc/passwd": never use it as a local path.
        name = hashlib.sha256(path.encode()).hexdigest()
        copy = scratch / f"{name}{PurePosixPath(path).suffix}"
        scratch.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(self.read(path))
        return copy


def _is_hidden(path: str) -> bool:
    return any(part.startswith(".") for part in path.split("/"))


def _state(path: str, found: Found) -> FileState:
    return FileState(path, found.size, int(found.modified) * 10**9, found.modified, found.version)


@lru_cache(maxsize=8)
def _client(location: str, access: Access) -> Objects:
    return Objects(location, access, named="the landing folder", refusal=LandingError)
