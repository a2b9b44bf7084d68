"""The lines of a log on both sides of a moment, however many there are before and after.

Workers append lines as they answer, so a log is in order of time but for fractions of a second.
"""

import mmap
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from pipelines.audit.entries import LoggedEntry, files_of

TIME = re.compile(rb'"time":"([^"]+)"')
EntryT = TypeVar("EntryT", bound=LoggedEntry)


def entries_before(
    folder: Path, name: str, kind: type[EntryT], moment: datetime
) -> Iterator[EntryT]:
    """The entries of a log before a moment, the newest first.

    Args:
        folder: of the audit log.
        name: the log's file, as ``answers.jsonl``; its older files belong to it.
        kind: of the entries.
        moment: where to begin.
    """
    for path in files_of(folder, name):
        yield from _parsed(kind, path, lambda log: _backwards(log, _offset(log, moment)))


def entries_after(
    folder: Path, name: str, kind: type[EntryT], moment: datetime
) -> Iterator[EntryT]:
    """The entries of a log from a moment on, the oldest first; see `entries_before`."""
    recent = [path for path in files_of(folder, name) if _changed(path) >= moment]
    for path in reversed(recent):
        yield from _parsed(kind, path, lambda log: _forwards(log, _offset(log, moment)))


def _parsed(
    kind: type[EntryT], path: Path, lines: Callable[[mmap.mmap], Iterator[bytes]]
) -> Iterator[EntryT]:
    if path.stat().st_size == 0:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as log:
        for line in lines(log):
            try:
                yield kind.model_validate_json(line)
            except ValidationError:  # cut short by a full disk
                continue


def _changed(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _forwards(log: mmap.mmap, offset: int) -> Iterator[bytes]:
    log.seek(offset)
    yield from iter(log.readline, b"")


def _backwards(log: mmap.mmap, offset: int) -> Iterator[bytes]:
    while offset > 0:
        begin = log.rfind(b"\n", 0, offset - 1) + 1
        yield log[begin:offset]
        offset = begin


def _offset(log: mmap.mmap, moment: datetime) -> int:
    """Where the first line at or after a moment begins, by bisection."""
    return bisect_left(range(len(log)), moment, key=lambda offset: _time_at(log, offset))


def _time_at(log: mmap.mmap, offset: int) -> datetime:
    """The time of the line that an offset is in; where it was cut short, of one before it."""
    end = offset
    while end >= 0:
        begin = log.rfind(b"\n", 0, end) + 1
        found = TIME.search(log, begin, log.find(b"\n", begin) + 1 or len(log))
        try:
            if found:
                return datetime.fromisoformat(found[1].decode())
        except ValueError:
            pass
        end = begin - 1
    return datetime.min.replace(tzinfo=UTC)
