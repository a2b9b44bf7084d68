"""The end of the parts' logs, and what is added to them from then on."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pipelines.errors import StackError
from pipelines.settings import Settings
from stack.catalog import all_parts
from stack.supervision import Supervisor

POLL_SECONDS = 0.3
BLOCK = 1 << 16
"""Bytes read at a time, from the end of a log backwards."""


@dataclass(frozen=True)
class Line:
    """One line of a process's log."""

    process: str
    text: str


def log_files(settings: Settings, name: str | None = None) -> dict[str, Path]:
    """Process → its log, of one part or one process; of all if no name is given.

    Raises:
        StackError: nothing of the stack has this name.
    """
    parts = all_parts(settings)
    processes = [process for part in parts for process in part.processes]
    chosen = [
        process.name
        for part in parts
        for process in part.processes
        if name in (None, part.name, process.name)
    ]
    if not chosen:
        known = dict.fromkeys([*(p.name for p in parts), *(p.name for p in processes)])
        raise StackError(f"The stack has no part {name!r}; it has {', '.join(known)}.")
    supervisor = Supervisor(settings, processes)
    return {process: supervisor.log(process) for process in chosen}


def task_logs(settings: Settings) -> Path:
    """The folder in which Airflow keeps a log of every try of every task."""
    return settings.home / "logs" / "airflow"


def tail(files: Mapping[str, Path], *, lines: int) -> list[Line]:
    """The last ``lines`` lines of each log, one log after the other."""
    return [Line(name, text) for name, file in files.items() for text in last_lines(file, lines)]


def follow(files: Mapping[str, Path], *, lines: int) -> Iterator[Line]:
    """The last ``lines`` lines of each log, then every line as it is written; never ends.

    A log that is put aside for a new one is read to its end first.
    """
    followed = [_Followed(name, file) for name, file in files.items()]
    yield from tail(files, lines=lines)
    while True:
        fresh = [line for one in followed for line in one.fresh()]
        yield from fresh
        if not fresh:
            time.sleep(POLL_SECONDS)


def last_lines(file: Path, count: int) -> Sequence[str]:
    """The last ``count`` lines of a file; none where there is no file."""
    if count < 1 or not file.is_file():
        return []
    end = b""
    with file.open("rb") as log:
        place = log.seek(0, 2)
        while place and end.count(b"\n") <= count:
            start = max(0, place - BLOCK)
            log.seek(start)
            end = log.read(place - start) + end
            place = start
    return end.decode("utf-8", errors="replace").splitlines()[-count:]


class _Followed:
    """A log from its present end on."""

    def __init__(self, name: str, path: Path) -> None:
        self._name = name
        self._path = path
        self._rest = b""
        self._file = self._open()
        if self._file:
            self._file.seek(0, os.SEEK_END)

    def fresh(self) -> list[Line]:
        """The whole lines that were written since it was asked last."""
        # Asked before reading: nothing is added any more to a log that was put aside.
        put_aside = not self._is_in_place()
        read = self._rest + (self._file.read() if self._file else b"")
        if put_aside:
            if self._file:
                self._file.close()
            self._file = self._open()
        *whole, self._rest = read.split(b"\n")
        return [Line(self._name, text.decode("utf-8", errors="replace")) for text in whole]

    def _open(self) -> BinaryIO | None:
        try:
            return self._path.open("rb")
        except FileNotFoundError:
            return None

    def _is_in_place(self) -> bool:
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return True
        if self._file is None:
            return False
        ours = os.fstat(self._file.fileno())
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)
