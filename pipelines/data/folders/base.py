"""The interface of a landing folder. Files are read and added, never changed or deleted."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path
from typing import BinaryIO

from pipelines.spelling import nfc

ARRIVING = ("*.part", "*.partial", "*.filepart", "*.crdownload", "*.tmp", "*._COPYING_")
"""Names that programs give a file while they copy it (``*`` matches across folders)."""
MARKERS = ("_SUCCESS", "*/_SUCCESS", "_temporary/*", "*/_temporary/*")
"""Files that Hadoop and Spark write beside their output."""
SYSTEMS = tuple(
    f"{above}{name}"
    for above in ("", "*/")
    for name in (
        *("__MACOSX/*", "@eaDir/*", "#recycle/*", "$RECYCLE.BIN/*", "System Volume Information/*"),
        *("lost+found/*", "Thumbs.db", "thumbs.db", "ehthumbs.db", "desktop.ini", "Desktop.ini"),
    )
)
"""Files that macOS, Windows and network disks create in every folder."""


@dataclass(frozen=True, slots=True)
class FileState:
    """A file of a landing folder, as the file system reports it."""

    path: str
    """Below the landing folder, with ``/`` between parts, as the file system spells it."""
    size: int
    """In bytes; 0 if it is not a regular file."""
    changed_ns: int
    """When its content changed last, in nanoseconds since 1970; 0 if unknown."""
    arrived: float
    """When it was written or replaced, in seconds since 1970; 0 if unknown. Unlike `changed_ns`,
    programs cannot set it."""
    identity: str = ""
    """Differs for every file that was ever at this path (inode and its change time, HDFS file ID);
    empty if the file system has no such ID."""

    @property
    def version(self) -> str:
        """Changes whenever the content at this path changes. Size and time are not enough:
        ``cp -p``, ``rsync -t`` and archives replace a file by one of the same size and time."""
        return f"{self.size}\0{self.changed_ns}\0{self.identity}"


class LandingFolder(ABC):
    """A landing folder.

    Args:
        location: its absolute path or its URI, as reports and messages show it.
    """

    def __init__(self, location: str) -> None:
        self.location = location

    @abstractmethod
    def exists(self) -> bool:
        """Whether the folder exists."""

    @abstractmethod
    def state(self, path: str) -> FileState | None:
        """One file of the folder; ``None`` if it does not exist."""

    @abstractmethod
    def all_files(self) -> list[FileState]:
        """All files below the folder, sorted by path, without hidden ones (``.name``).

        Raises:
            LandingError: a folder cannot be read.
            StoreUnavailable: HDFS does not answer.
        """

    @abstractmethod
    def open(self, path: str) -> AbstractContextManager[BinaryIO]:
        """Open a file for reading.

        Raises:
            BadImage: it cannot be read (reason ``unreadable``).
            StoreUnavailable: HDFS does not answer.
        """

    @abstractmethod
    def local(self, path: str, scratch: Path) -> Path:
        """The path of a local file with this content: the file itself, or a copy in ``scratch``."""

    @abstractmethod
    def add(self, path: str, data: bytes) -> bool:
        """Write a new file atomically.

        Returns:
            Whether it was written; ``False`` if ``path`` exists.

        Raises:
            OSError: the folder is not writable, or its disk is full.
            LandingError: HDFS refuses it.
            StoreUnavailable: HDFS does not answer.
        """

    def files(self, *, ignore: tuple[str, ...] = ()) -> list[FileState]:
        """The files to land; see `wanted`."""
        return wanted(self.all_files(), ignore=ignore)

    def read(self, path: str) -> bytes:
        """The content of a file; errors as of `open`."""
        with self.open(path) as file:
            return file.read()


def wanted(states: Iterable[FileState], *, ignore: tuple[str, ...] = ()) -> list[FileState]:
    """The files to land.

    Excludes files that are still being copied, by their names (`ARRIVING`), markers of finished
    jobs (`MARKERS`), files of operating systems (`SYSTEMS`), and matches of a pattern in
    ``ignore`` (``masks/**``, ``*.txt``).
    """
    patterns = re.compile("|".join(map(translate, (*ARRIVING, *MARKERS, *SYSTEMS, *ignore))))
    return [state for state in states if not patterns.match(nfc(state.path))]
