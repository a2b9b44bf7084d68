"""Rows that take turns, so that a busy machine slows them alike."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rich.progress import track

WARM_UP = 20
Ask = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """How long one thing took, again and again."""

    seconds: list[float]

    @property
    def median(self) -> float:
        """In seconds."""
        return statistics.median(self.seconds)

    @property
    def high(self) -> float:
        """The 95 % quantile, in seconds."""
        return statistics.quantiles(self.seconds, n=20)[-1]


def take_turns(rows: Mapping[str, Ask], rounds: int, *, what: str = "Asking") -> dict[str, Row]:
    """Do each row once, and again, ``rounds`` times; the first few turns do not count."""
    seconds: dict[str, list[float]] = {name: [] for name in rows}
    for turn in track(range(WARM_UP + rounds), what, transient=True):
        for name, ask in rows.items():
            began = time.perf_counter()
            ask()
            if turn >= WARM_UP:
                seconds[name].append(time.perf_counter() - began)
    return {name: Row(taken) for name, taken in seconds.items()}
