"""A landing folder on this machine."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from pipelines.data.folders.base import FileState, LandingFolder
from pipelines.errors import BadImage, LandingError
from pipelines.storage.local import LocalStore


class LocalFolder(LandingFolder):
    """A folder on a file system that this machine has mounted.

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
            return file_state(path, (self._folder / path).stat())
        except OSError:
            return None

    def all_files(self) -> list[FileState]:
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


UNRELIABLE = ("fuse.", "cifs ", "smb", "9p ", "vboxsf ", "prl_fs ", "drvfs ", "ncpfs ")
"""File systems whose inodes and change times are unreliable."""


def walk(folder: Path) -> list[FileState]:
    """All files below ``folder``, sorted by path.

    Excludes hidden files and folders (``.name``). Follows links, except those that lead back to a
    folder above them. Lists broken links and pipes too: opening them reports why they cannot be
    used. A file that is deleted meanwhile is not listed.

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
    except OSError:  # a link to itself, or into a folder without permission
        return False


def _state_of(entry: os.DirEntry[str], path: str) -> FileState | None:
    try:
        return file_state(path, entry.stat())
    except OSError:
        return FileState(path, 0, 0, 0.0) if entry.is_symlink() else None


def file_state(path: str, status: os.stat_result) -> FileState:
    """The state of a file, from its status."""
    # `cp -p` can set the time of the content, but not that of the inode.
    identity = f"{status.st_ino}:{status.st_ctime_ns}" if _keeps_inodes(status.st_dev) else ""
    return FileState(path, status.st_size, status.st_mtime_ns, status.st_ctime, identity)


@lru_cache(maxsize=64)
def _keeps_inodes(device: int) -> bool:
    """Whether a file system stores inodes, rather than inventing them when it is mounted."""
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = Path("/proc/self/mountinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return True
    kinds = [mount.partition(" - ")[2] for mount in mounts if mount.split()[2] == number]
    return not any(kind.startswith(UNRELIABLE) for kind in kinds)
