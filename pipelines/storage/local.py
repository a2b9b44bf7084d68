"""A store in a local folder (``file:///...``): for one machine without HDFS, and for tests."""

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pipelines.errors import NotFound
from pipelines.storage.base import is_hidden
from pipelines.storage.renaming import RenamingStore


class LocalStore(RenamingStore):
    """Files below one local folder.

    Args:
        folder: the root; made when the first file is written.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder.absolute().as_uri())
        self.folder = folder.absolute()

    def _at(self, path: str) -> Path:
        if path.startswith("/") or ".." in path.split("/"):
            raise ValueError(f"{path!r} is not a path inside the store {self.root}.")
        return self.folder / path

    def exists(self, path: str) -> bool:
        return self._at(path).exists()

    def names(self, path: str) -> list[str]:
        return [name for name in self._entries(path) if not is_hidden(name)]

    def hidden(self, path: str) -> list[str]:
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

    def has_link(self, path: str) -> bool:
        parts = path.split("/")
        return any(self._at("/".join(parts[: n + 1])).is_symlink() for n in range(len(parts)))

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

    def modified(self, path: str) -> float:
        try:
            return self._at(path).stat().st_mtime
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotFound(f"There is no {self.uri(path)}.") from error

    def set_modified(self, path: str, when: float) -> None:
        try:
            os.utime(self._at(path), (when, when))
        except FileNotFoundError as error:
            raise NotFound(f"There is no file {self.uri(path)}.") from error

    def _delete(self, path: str) -> None:
        target = self._at(path)
        if not target.is_dir():
            target.unlink(missing_ok=True)
        elif is_hidden(target.name):
            shutil.rmtree(target, ignore_errors=True)
        else:
            self.discard(path)  # a reader must not see half of a folder

    def rename(self, source: str, target: str) -> bool:
        if not self._at(source).is_dir():
            return self._rename_file(self._at(source), self._at(target))
        try:
            os.rename(self._at(source), self._at(target))  # noqa: PTH104 (atomic, fails on content)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                return False
            if error.errno == errno.ENOENT:
                raise NotFound(f"There is no {self.uri(source)}.") from error
            raise
        return True

    def _rename_file(self, source: Path, target: Path) -> bool:
        try:
            target.hardlink_to(source)  # rename(2) would replace the target
        except FileExistsError:
            return False
        except FileNotFoundError as error:
            raise NotFound(f"There is no {source}.") from error
        except OSError:  # a file system without hard links
            if target.exists():
                return False
            source.replace(target)
        source.unlink(missing_ok=True)
        return True

    def _exchange(self, source: str, target: str) -> None:
        self._at(source).replace(self._at(target))
