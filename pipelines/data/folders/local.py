"""A landing folder of this machine."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pipelines.data.folders.base import FileState, Source
from pipelines.data.folders.walk import described, walk
from pipelines.errors import BadImage
from pipelines.storage.local import LocalStore


class LocalFolder(Source):
    """A folder that this machine has mounted.

    Args:
        folder: its absolute path.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder))
        self._folder = folder

    def exists(self) -> bool:
        return self._folder.is_dir()

    def state(self, path: str) -> FileState | None:
        try:
            return described(path, (self._folder / path).stat())
        except OSError:
            return None

    def everything(self) -> list[FileState]:
        return walk(self._folder)

    @contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        file = self._folder / path
        try:
            if not file.is_file():
                raise BadImage("unreadable", "This is not a regular file (a broken link, a pipe?).")
            with file.open("rb") as stream:
                yield stream
        except OSError as error:
            raise BadImage("unreadable", f"The file cannot be read ({error.strerror}).") from error

    def add(self, path: str, data: bytes) -> bool:
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        part = f"{path.rpartition('/')[0]}/.upload-{secrets.token_hex(8)}".lstrip("/")
        store = LocalStore(self._folder)
        try:
            with (self._folder / part).open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            is_added = store.rename(part, path)
        finally:
            (self._folder / part).unlink(missing_ok=True)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return is_added

    def local(self, path: str, scratch: Path) -> Path:  # noqa: ARG002 (of the interface)
        return self._folder / path
