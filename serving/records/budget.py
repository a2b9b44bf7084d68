"""How many lines of refusals are written; the rest are counted.

Anybody who reaches the service can be refused as often as they like. Each minute the first
refusals have a line each, and those beyond share one for each status and code.
"""

import time
from collections.abc import Callable

from pipelines.audit.entries import RefusedEntry

SECONDS = 60.0


class Budget:
    """Lines of one minute after the other.

    Args:
        lines: how many refusals of a minute have a line of their own.
        seconds: length of the minute.
        clock: seconds that never run back.
    """

    def __init__(
        self, lines: int, *, seconds: float = SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lines = lines
        self._seconds = seconds
        self._clock = clock
        self._ends = 0.0
        self._written = 0
        self._shared: dict[tuple[str | None, int, str], RefusedEntry] = {}

    @property
    def is_due(self) -> bool:
        """Whether `flush` has lines of a minute that is over."""
        return bool(self._shared) and self._clock() >= self._ends

    def add(self, entry: RefusedEntry) -> list[RefusedEntry]:
        """Take in one refusal; what is to be written now."""
        due = []
        if self._clock() >= self._ends:
            due = self.flush()
            self._ends = self._clock() + self._seconds
            self._written = 0
        if self._written < self._lines:
            self._written += 1
            return [*due, entry]
        kind = (entry.token, entry.status, entry.code)
        before = self._shared.get(kind)
        count = 1 + (before.count if before else 0)
        self._shared[kind] = entry.model_copy(update={"count": count})
        return due

    def flush(self) -> list[RefusedEntry]:
        """The shared lines of the minute so far, each with the newest request it counts."""
        shared, self._shared = list(self._shared.values()), {}
        return shared
