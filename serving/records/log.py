"""Logs of lines: written by a thread, so that whoever hands a line in never waits; appended to by
several processes; put aside by size."""

import logging
import os
import queue
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from pipelines.locks import locked
from serving.metrics import count_audit_lost


class Appended:
    """Lines go to one file; past a size it is renamed to ``.1``, ``.1`` to ``.2`` and so on.

    Safe with any number of processes, killed ones included: each write is one ``write(2)`` with
    ``O_APPEND``, so lines of two never mix; one at a time puts the file aside, under the lock
    ``.NAME.lock``, and the others notice by its inode. A backup holds that lock while it opens
    the files, so the lock exists before the first line.

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
        self._lock.touch(mode=0o600)
        self._handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    @property
    def _lock(self) -> Path:
        return self._path.with_name(f".{self._path.name}.lock")

    def _is_elsewhere(self) -> bool:
        """Whether another process has put the file aside, or somebody has removed it."""
        try:
            return not os.path.samestat(self._path.stat(), os.fstat(self._handle))
        except FileNotFoundError:
            return True

    def _put_aside(self) -> None:
        with locked(self._lock):
            if not self._is_elsewhere():
                for number in range(self._files - 2, 0, -1):
                    older = self._numbered(number)
                    if older.exists():
                        older.replace(self._numbered(number + 1))
                self._path.replace(self._numbered(1))
        self._open()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


logger = logging.getLogger(__name__)

WAITING = 20_000
AT_ONCE = 500
"""Lines of one write."""
RETRY_SECONDS = 1.0
FLUSH_SECONDS = 5.0
"""How long `Spool.stop` waits for the last lines."""


class Spool:
    """Where lines wait until they are written.

    Where that cannot be done (a full disk ...), it is tried again every second; `WAITING` lines
    are kept meanwhile. What does not fit is lost, counted, and told in the log.

    Args:
        file: where they go.
        name: of the thread.
    """

    def __init__(self, file: Appended, *, name: str) -> None:
        self._file = file
        self._waiting: queue.Queue[bytes] = queue.Queue(WAITING)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._write_all, name=name, daemon=True)
        self._in_trouble = False

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def put(self, line: bytes) -> None:
        """Hand a line in, ended by a line feed."""
        try:
            self._waiting.put_nowait(line)
        except queue.Full:
            count_audit_lost(1)

    def stop(self) -> None:
        """Write what waits, and end."""
        self._stopping.set()
        if self._waiting.empty():
            self.put(b"")  # wakes the thread
        self._thread.join(FLUSH_SECONDS)

    def _write_all(self) -> None:
        lines = b""
        while lines or not (self._stopping.is_set() and self._waiting.empty()):
            lines = lines or self._take()
            try:
                lines = lines[self._file.write(lines) :]
                self._tell_recovery()
            except OSError as error:
                self._tell_trouble(error)
                if self._stopping.is_set():  # this was the last try
                    self._lose(lines)
                    break
                self._stopping.wait(RETRY_SECONDS)
        self._file.close()

    def _take(self) -> bytes:
        """Wait for a line; it, and what waits behind it."""
        return self._waiting.get() + b"".join(islice(self._at_hand(), AT_ONCE - 1))

    def _at_hand(self) -> Iterator[bytes]:
        while not self._waiting.empty():
            yield self._waiting.get_nowait()

    def _tell_trouble(self, error: OSError) -> None:
        if not self._in_trouble:
            logger.error("The audit log cannot be written, its lines wait in memory: %s", error)
        self._in_trouble = True

    def _tell_recovery(self) -> None:
        if self._in_trouble:
            logger.warning("The audit log is written again")
        self._in_trouble = False

    def _lose(self, lines: bytes) -> None:
        count = (lines + b"".join(self._at_hand())).count(b"\n")
        count_audit_lost(count)
        logger.error("%d lines of the audit log could not be written and are lost", count)
