"""Lines on their way to a file, written by a thread: whoever hands one in never waits."""

import logging
import queue
import threading
from collections.abc import Iterator
from itertools import islice

from serving.metrics import count_audit_lost
from serving.records.append import Appended

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
