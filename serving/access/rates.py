"""How often somebody may ask: a token bucket each, kept as one number."""

import time
from collections import OrderedDict
from collections.abc import Callable

MOST_CALLERS = 10_000


class Rates:
    """Token buckets by the generic cell rate algorithm (ITU-T I.371): of each caller only the
    time is kept at which its bucket will be full again.

    Each worker keeps its own, so N workers together let a caller have N times as much: the limit
    is there to keep one caller from taking a worker from all others.

    Args:
        per_second: how fast a bucket fills.
        burst: how much it holds.
        clock: seconds that never run back.
    """

    def __init__(
        self, per_second: float, burst: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._interval = 1 / per_second
        self._slack = (burst - 1) / per_second
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def wait(self, caller: str) -> float:
        """Take one from a caller's bucket; how long to wait (s) if it is empty, else 0."""
        now = self._clock()
        full_at = max(self._full_at.get(caller, now), now)
        wait = full_at - self._slack - now
        if wait > 1e-9:
            return wait
        self._full_at[caller] = full_at + self._interval
        self._full_at.move_to_end(caller)
        if len(self._full_at) > MOST_CALLERS:
            # whoever asked least recently is the nearest to a full bucket, which is no entry
            self._full_at.popitem(last=False)
        return 0.0
