"""Where work waits for a thread: decoding and inference happen off the event loop."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from serving.context import Problem
from serving.metrics import WAITING

ResultT = TypeVar("ResultT")

RECENT = 0.05
"""Weight of the newest piece of work in the mean time of one."""
FIRST_GUESS = 0.02
"""Seconds a piece of work takes, before any was done."""


class InferenceExecutor:
    """Hands work to threads (both decoding and inference let go of the interpreter lock).

    What finds no free thread waits in the order it came. How much may wait is told in time: each
    piece's expected wait follows from the work before it and from what recent work has taken.

    Args:
        threads: how many pieces of work are done at once.
        wait_seconds: longest time new work is expected to wait; beyond that it is refused.
    """

    def __init__(self, threads: int, *, wait_seconds: float = 1.0) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="inference")
        self._free = asyncio.Semaphore(threads)
        self._count = threads
        self._wait_seconds = wait_seconds
        self._waiting = 0
        self._usual_seconds = FIRST_GUESS

    def require_room(self) -> None:
        """Raises Problem: new work would wait too long (503, with Retry-After)."""
        expected = self._waiting * self._usual_seconds / self._count
        if expected > self._wait_seconds:
            raise Problem(
                503,
                "overloaded",
                f"More is asked of this service than it can do: {self._waiting} images wait. "
                "Ask again later.",
                headers={"Retry-After": str(math.ceil(expected))},
            )

    async def run(
        self,
        work: Callable[[], ResultT],
        *,
        is_abandoned: Callable[[], Awaitable[bool]] | None = None,
    ) -> ResultT:
        """Do work in a thread and wait for what it returns or raises.

        Args:
            work: what to do.
            is_abandoned: asked after a wait: whether nobody wants the result any more.

        Raises:
            Problem: it was abandoned while it waited (499, which nobody reads).
        """
        waited = self._free.locked()
        await (self._wait() if waited else self._free.acquire())
        try:
            if waited and is_abandoned and await is_abandoned():
                raise Problem(499, "disconnected", "The client went away while its image waited.")
            return await self._work(work)
        finally:
            self._free.release()

    def close(self) -> None:
        """End the threads once they have done what they hold."""
        self._threads.shutdown(wait=True)

    async def _wait(self) -> None:
        self._waiting += 1
        WAITING.set(self._waiting)
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
            WAITING.set(self._waiting)

    async def _work(self, work: Callable[[], ResultT]) -> ResultT:
        began = time.perf_counter()
        done = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            return await asyncio.shield(done)
        finally:
            # A thread cannot be stopped: whoever is cancelled waits for it, or its place would be
            # given to others while it goes on.
            while not done.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([done])
            self._usual_seconds += RECENT * (time.perf_counter() - began - self._usual_seconds)
