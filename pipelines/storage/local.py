"""A store in a local folder (``file:///...``): for one machine without HDFS, and for tests."""

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pipelines.errors import NotFound
from pipelines.storage.base import Store, is_hidden


class LocalStore(Store):
    """Files below one local folder.

    Args:
        folder: the root; made when the first file is written.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder.absolute().as_uri())
        self.folder = folder.absolute()

    def _at(self, path: str) -> Path:
        return self.folder / path

    def exists(self, path: str) -> bool:
        return self._at(path).exists()

    def names(self, path: str) -> list[str]:
        return [name for name in self._entries(path) if not is_hidden(name)]

    def _hidden(self, path: str) -> list[str]:
        return [name for name in self._entries(path) if is_hidden(name)]

    def _entries(self, path: str) -> list[str]:
        folder = self._at(path)
        return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []

    def walk(self, path: str = "") -> Iterator[str]:
        for name in self.names(path):
            inner = f"{path}/{name}" if path else name
            if self._at(inner).is_dir():
                yield from self.walk(inner)
            else:
                yield inner

    def size(self, path: str) -> int:
        return self._found(path).stat().st_size

    def open(self, path: str) -> BinaryIO:
        return self._found(path).open("rb")

    def _found(self, path: str) -> Path:
        file = self._at(path)
        if not file.is_file():
            raise NotFound(f"There is no file {self.uri(path)}.")
        return file

    def upload(self, local: Path, path: str) -> None:
        target = self._at(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(local, target)

    def write(self, path: str, data: bytes) -> None:
        target = self._at(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    def delete(self, path: str) -> None:
        target = self._at(path)
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)

    def _move_new(self, source: str, target: str) -> bool:
        try:
            self._at(target).hardlink_to(self._at(source))
        except FileExistsError:
            return False
        self._at(source).unlink()
        return True

    def _rename(self, source: str, target: str) -> bool:
        try:
            os.rename(self._at(source), self._at(target))  # noqa: PTH104 (atomic, fails on content)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                return False
            raise
        return True
