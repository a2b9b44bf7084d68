"""A landing folder of this machine."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from pipelines.data.folders.base import FileState, Source
from pipelines.errors import BadImage, LandingError
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


MADE_UP = ("fuse.", "cifs ", "smb", "9p ", "vboxsf ", "prl_fs ", "drvfs ", "ncpfs ")
"""Kinds of file systems whose inodes and times of change say nothing reliable."""


def walk(folder: Path) -> list[FileState]:
    """All files below ``folder``, sorted by path.

    Hidden files and folders (``.name``) are left out. Links are followed; one that leads back to
    a folder it stands in is not followed round. What is no regular file (a broken link, a pipe)
    is listed: whoever opens it will say why it cannot be used. A file that goes while it is
    looked at is not listed.

    Raises:
        LandingError: a folder cannot be read.
    """
    return sorted(_below(folder, "", ()), key=lambda state: state.path)


def _below(folder: Path, prefix: str, above: tuple[tuple[int, int], ...]) -> Iterator[FileState]:
    try:
        status = folder.stat()
        with os.scandir(folder) as listing:
            entries = [entry for entry in listing if not entry.name.startswith(".")]
    except OSError as error:
        raise LandingError(
            f"The folder {folder} cannot be read ({error.strerror}). Correct its permissions."
        ) from error
    this = (status.st_dev, status.st_ino)
    if this in above:
        return
    for entry in entries:
        if _is_folder(entry):
            yield from _below(folder / entry.name, f"{prefix}{entry.name}/", (*above, this))
        elif state := _state_of(entry, f"{prefix}{entry.name}"):
            yield state


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself, or to where nobody may look
        return False


def _state_of(entry: os.DirEntry[str], path: str) -> FileState | None:
    try:
        return described(path, entry.stat())
    except OSError:
        return FileState(path, 0, 0, 0.0) if entry.is_symlink() else None


def described(path: str, status: os.stat_result) -> FileState:
    """The state of a file, from what the file system reports."""
    # The inode's own time cannot be set back, as the content's is by `cp -p`.
    identity = f"{status.st_ino}:{status.st_ctime_ns}" if _keeps_inodes(status.st_dev) else ""
    return FileState(path, status.st_size, status.st_mtime_ns, status.st_ctime, identity)


@lru_cache(maxsize=64)
def _keeps_inodes(device: int) -> bool:
    """Whether inodes are a file system's own, and not made up where it is mounted."""
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = Path("/proc/self/mountinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return True
    kinds = [mount.partition(" - ")[2] for mount in mounts if mount.split()[2] == number]
    return not any(kind.startswith(MADE_UP) for kind in kinds)
