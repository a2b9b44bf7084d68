"""Finding the files below a local folder, whatever they are called and however linked."""

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from pipelines.data.folders.base import FileState
from pipelines.errors import LandingError

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
