"""Where work waits for a thread: decoding and inference happen off the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

ResultT = TypeVar("ResultT")


class Desk:
    """Hands work to threads (both decoding and inference let go of the interpreter lock).

    Args:
        threads: how many pieces of work are done at once.
    """

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="inference")

    async def run(self, work: Callable[[], ResultT]) -> ResultT:
        """Do work in a thread and wait for what it returns or raises."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """End the threads once they have done what they hold."""
        self._threads.shutdown(wait=True)
