"""Progress of whatever takes more than two seconds: a bar for a person, lines for a log."""

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from threading import Event
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 5.0
SECONDS_BETWEEN_LOOKS = 0.5

ItemT = TypeVar("ItemT")


def track(items: Iterable[ItemT], *, total: int, what: str) -> Iterator[ItemT]:
    """Hand ``items`` on, and show how far along they are.

    On a terminal this draws a bar on stderr; elsewhere (a task of the DAG, a pipe) it logs a
    line every five seconds, so that a log never stands still and never fills with bars.

    Args:
        items: what is worked on.
        total: how many items there will be.
        what: the work, in a few words: ``"Opening files"``.
    """
    shown = _bar if sys.stderr.isatty() else _lines
    yield from shown(items, total, what)


def watch(count: Callable[[], int], *, total: int, what: str, ended: Event) -> None:
    """Show how far along work is that is done elsewhere, until ``ended`` is set.

    Args:
        count: tells how much of it is done.
        total: how much there is to do.
        what: the work, in a few words.
        ended: set by whoever does the work.
    """
    shown = _watch_by_bar if sys.stderr.isatty() else _watch_by_lines
    shown(count, total, what, ended)


def _watch_by_bar(count: Callable[[], int], total: int, what: str, ended: Event) -> None:
    with _progress() as progress:
        task = progress.add_task(what, total=total)
        while not ended.wait(SECONDS_BETWEEN_LOOKS):
            progress.update(task, completed=count())


def _watch_by_lines(count: Callable[[], int], total: int, what: str, ended: Event) -> None:
    while not ended.wait(SECONDS_BETWEEN_LINES):
        logger.info("%s: %s of %s", what, f"{count():,}", f"{total:,}")


def _bar(items: Iterable[ItemT], total: int, what: str) -> Iterator[ItemT]:
    with _progress() as progress:
        yield from progress.track(items, total=total, description=what)


def _progress() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True)


def _lines(items: Iterable[ItemT], total: int, what: str) -> Iterator[ItemT]:
    said = time.monotonic()
    for count, item in enumerate(items):
        if time.monotonic() - said > SECONDS_BETWEEN_LINES:
            said = time.monotonic()
            logger.info("%s: %s of %s", what, f"{count:,}", f"{total:,}")
        yield item
