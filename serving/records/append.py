"""A log of lines that several processes append to, put aside by size."""

import fcntl
import os
from pathlib import Path


class Appended:
    """Lines go to one file; past a size it is renamed to ``.1``, ``.1`` to ``.2`` and so on.

    Safe with any number of processes, killed ones included: each write is one ``write(2)`` with
    ``O_APPEND``, so lines of two never mix; one at a time puts the file aside, under a lock, and
    the others notice by its inode.

    Args:
        path: the file; made for its owner alone.
        most_bytes: size at which it is put aside.
        files: how many are kept, the newest included.
    """

    def __init__(self, path: Path, *, most_bytes: int, files: int) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._files = files
        self._handle = -1
        self._torn = False

    def write(self, lines: bytes) -> int:
        """Append whole lines; how many bytes of them stand now, up to the end of a line.

        Less than all were written where the disk has just become full; what is left of a torn
        line is ended by the next write.

        Raises:
            OSError: nothing could be written.
        """
        if self._handle < 0 or self._is_elsewhere():
            self._open()
        if os.fstat(self._handle).st_size >= self._most_bytes:
            self._put_aside()
        ending = b"\n" if self._torn else b""
        written = os.write(self._handle, ending + lines)
        self._torn = written < len(ending + lines)
        return lines.rfind(b"\n", 0, max(0, written - len(ending))) + 1

    def close(self) -> None:
        """Let go of the file."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _open(self) -> None:
        self.close()
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def _is_elsewhere(self) -> bool:
        """Whether another process has put the file aside, or somebody has removed it."""
        try:
            return not os.path.samestat(self._path.stat(), os.fstat(self._handle))
        except FileNotFoundError:
            return True

    def _put_aside(self) -> None:
        lock = os.open(
            self._path.with_name(f".{self._path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600
        )
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self._is_elsewhere():
                for number in range(self._files - 2, 0, -1):
                    older = self._numbered(number)
                    if older.exists():
                        older.replace(self._numbered(number + 1))
                self._path.replace(self._numbered(1))
        finally:
            os.close(lock)
        self._open()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")
