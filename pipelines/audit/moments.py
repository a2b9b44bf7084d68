"""The lines of a log on both sides of a moment, however many there are before and after.

Workers append lines as they answer, so a log is in order of time but for fractions of a second.
"""

import mmap
import re
from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from pipelines.audit.entries import EntryT, maps_of, parsed

TIME = re.compile(rb'"time":"([^"]+)"')


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
    with maps_of(folder, name) as logs:
        for log in logs:
            yield from parsed(kind, _backwards(log, _offset(log, moment)))


def entries_after(
    folder: Path, name: str, kind: type[EntryT], moment: datetime
) -> Iterator[EntryT]:
    """The entries of a log from a moment on, the oldest first; see `entries_before`."""
    with maps_of(folder, name) as logs:
        for log in reversed(logs):
            yield from parsed(kind, _forwards(log, _offset(log, moment)))


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
