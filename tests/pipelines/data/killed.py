"""A process that is ended between two changes of a store."""

from collections.abc import Callable
from typing import Any


class Steps:
    """Lets a process change the store so many times, and ends it before the next change."""

    def __init__(self, last: int) -> None:
        self.last, self.done = last, 0

    def counted(self, change: Callable[..., None]) -> Callable[..., None]:
        def counting(*arguments: Any, **named: Any) -> None:
            if self.done == self.last:
                raise KeyboardInterrupt
            self.done += 1
            change(*arguments, **named)

        return counting
