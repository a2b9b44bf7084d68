"""What a landing folder can be asked. Files are read and added, never changed or taken away."""

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
"""What programs call a file while they copy it (``*`` matches across folders)."""
MARKERS = ("_SUCCESS", "*/_SUCCESS", "_temporary/*", "*/_temporary/*")
"""What Hadoop and Spark write beside their output."""
SYSTEMS = tuple(
    f"{above}{name}"
    for above in ("", "*/")
    for name in (
        *("__MACOSX/*", "@eaDir/*", "#recycle/*", "$RECYCLE.BIN/*", "System Volume Information/*"),
        *("lost+found/*", "Thumbs.db", "thumbs.db", "ehthumbs.db", "desktop.ini", "Desktop.ini"),
    )
)
"""What macOS, Windows and network disks leave beside everybody's files."""


@dataclass(frozen=True, slots=True)
class FileState:
    """A file of a landing folder as it stands."""

    path: str
    """Below the landing folder, with ``/`` between parts, as the file system spells it."""
    size: int
    """In bytes; 0 for what is no regular file."""
    changed_ns: int
    """When its content changed last, in nanoseconds since 1970; 0 if it cannot be told."""
    arrived: float
    """When it was written or replaced, in seconds since 1970, by a clock that nobody sets back; 0
    if it cannot be told."""
    identity: str = ""
    """Differs for every file that was ever at this path (inode and its time of change, file ID of
    HDFS); empty where the file system does not tell."""

    @property
    def version(self) -> str:
        """Another one for any other content at this path. Size and time of change do not suffice:
        ``cp -p``, ``rsync -t`` and archives replace a file by one of the same size and time."""
        return f"{self.size}\0{self.changed_ns}\0{self.identity}"


class Source(ABC):
    """A landing folder.

    Args:
        place: its absolute path or its URI: the name it goes by in reports and messages.
    """

    def __init__(self, place: str) -> None:
        self.place = place

    @abstractmethod
    def exists(self) -> bool:
        """Whether there is such a folder."""

    @abstractmethod
    def state(self, path: str) -> FileState | None:
        """One file of the folder; ``None`` if it is not there."""

    @abstractmethod
    def everything(self) -> list[FileState]:
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
        """A local file of this content: the file itself, or a copy below ``scratch``."""

    @abstractmethod
    def add(self, path: str, data: bytes) -> bool:
        """Write a file that is not there yet; it appears whole or not at all.

        Returns:
            Whether it was written; ``False`` if something is at ``path`` already.

        Raises:
            OSError: the folder cannot be written, or its disk is full.
            LandingError: HDFS refuses it.
            StoreUnavailable: HDFS does not answer.
        """

    def files(self, *, ignore: tuple[str, ...] = ()) -> list[FileState]:
        """The files that are there to be landed; see `wanted`."""
        return wanted(self.everything(), ignore=ignore)

    def read(self, path: str) -> bytes:
        """The content of a file; raises as `open` does."""
        with self.open(path) as file:
            return file.read()


def wanted(states: Iterable[FileState], *, ignore: tuple[str, ...] = ()) -> list[FileState]:
    """Those of ``states`` that are there to be landed.

    Left out are files that are still being copied, by their names (`ARRIVING`), the markers of
    finished jobs, what operating systems leave (`SYSTEMS`), and what a pattern in ``ignore``
    matches (``masks/**``, ``*.txt``).
    """
    patterns = re.compile("|".join(map(translate, (*ARRIVING, *MARKERS, *SYSTEMS, *ignore))))
    return [state for state in states if not patterns.match(nfc(state.path))]
