"""Progress of whatever takes more than two seconds: a bar for a person, lines for a log."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
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


def _bar(items: Iterable[ItemT], total: int, what: str) -> Iterator[ItemT]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield from progress.track(items, total=total, description=what)


def _lines(items: Iterable[ItemT], total: int, what: str) -> Iterator[ItemT]:
    said = time.monotonic()
    for count, item in enumerate(items):
        if time.monotonic() - said > SECONDS_BETWEEN_LINES:
            said = time.monotonic()
            logger.info("%s: %s of %s", what, f"{count:,}", f"{total:,}")
        yield item
