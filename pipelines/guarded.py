"""Calls in a process of their own, so that no file can end or block whoever opens it.

Decoders are C libraries: a damaged file can crash one, keep it busy forever or make it take all
memory. A `Cell` makes one call at a time in another process, under a limit of time and memory. If
that process dies, exactly one call is lost, and the next call gets a new process.

Processes are kept for later calls, because each takes a second to start. They end with the
process that started them.
"""

import atexit
import os
import resource
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any, Generic, TypeVar

from pipelines.errors import MedloopError, StackError
from pipelines.failures import RaisedElsewhere, frames_of

START_SECONDS = 180.0
"""Longest time a new process may take to be ready, on a busy machine."""
PREFERRED_VICTIM = 500
"""Where the system runs out of memory, it ends this process first (proc(5), oom_score_adj)."""
AHEAD = 8
"""Calls for each process that are made before their results are asked for."""
ROOT = Path(__file__).resolve().parent.parent

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class Died(MedloopError):
    """The process ended during the call: it crashed, or the system ended it."""


class TookTooLong(MedloopError):
    """The call exceeded its time limit, and its process was ended."""


class Cell:
    """A process that makes one call at a time.

    Args:
        seconds: longest time of a call.
        memory: bytes that a call may take beyond what the process needs for itself.
    """

    def __init__(self, *, seconds: float, memory: int) -> None:
        self._seconds = seconds
        self._memory = memory
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection[Any, Any] | None = None

    def call(self, function: Callable[..., ResultT], *arguments: Any) -> ResultT:
        """Call a function of a module and return its result.

        Args:
            function: found by its module and name, so it must not be local to a function.
            arguments: must be picklable, as must be the result.

        Raises:
            Died: the process ended.
            TookTooLong: the call did not return in time.
            StackError: no process can be started.
            Exception: whatever the function raised.
        """
        connection = self._connection or self._start()
        try:
            connection.send((function, arguments))
            if not connection.poll(self._seconds):
                raise TookTooLong(f"The call did not return within {self._seconds:g} seconds.")
            is_result, answer, frames = connection.recv()
        except (EOFError, ConnectionError) as error:
            status = self._end()
            raise Died(f"The process ended with exit status {status}.") from error
        except BaseException:  # an answer that comes late must not be taken for the next call's
            self._end()
            raise
        if is_result:
            result: ResultT = answer
            return result
        raise answer from RaisedElsewhere(frames)

    def close(self) -> None:
        """End the process."""
        self._end()

    def _start(self) -> "Connection[Any, Any]":
        ours, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno()), str(self._memory)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for whoever waits for the answer
                env=os.environ | _ENVIRONMENT | {"PYTHONPATH": os.pathsep.join(_importable())},
            )
        self._connection = ours
        try:
            is_ready = ours.poll(START_SECONDS) and ours.recv()
        except (EOFError, ConnectionError):
            is_ready = False
        if not is_ready:
            status = self._end()
            raise StackError(
                f"The process that opens files does not start (exit status {status}). Its own "
                "message is above; check the free memory of this machine and the installation."
            )
        return ours

    def _end(self) -> int | None:
        """End the process if there is one; its exit status."""
        process, connection = self._process, self._connection
        self._process = self._connection = None
        if connection is not None:
            connection.close()
        if process is None:
            return None
        with suppress(ProcessLookupError):
            process.kill()
        return process.wait()


_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
"""One core a process; and a library's warning may quote a patient's name."""


def _importable() -> list[str]:
    return [str(ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]


class Lost(Generic[ItemT]):
    """An item whose call gave no result.

    Args:
        item: the argument of the call.
        error: why there is no result.
    """

    def __init__(self, item: ItemT, error: Died | TookTooLong) -> None:
        self.item = item
        self.error = error


def call_each(
    function: Callable[[ItemT], ResultT],
    items: Iterable[ItemT],
    *,
    processes: int,
    seconds: float,
    memory: int,
) -> Iterator[tuple[ItemT, ResultT | Lost[ItemT]]]:
    """Call a function with each item, in several processes; results come in order.

    A call whose process died is repeated once, at the end, with nothing beside it: the system may
    have ended its process because of another one. Few calls are made in advance, so that results
    do not fill the memory.

    Args:
        function: as in `Cell.call`, with one argument.
        items: the arguments.
        processes: how many calls are made at the same time.
        seconds: as in `Cell`.
        memory: as in `Cell`.

    Yields:
        Each item with its result, or with `Lost`.

    Raises:
        StackError: no process can be started.
        Exception: whatever the function raised first; the rest is not done.
    """
    with _cells(processes, seconds=seconds, memory=memory) as cells:
        free = list(cells)

        def attempt(item: ItemT) -> ResultT | Lost[ItemT]:
            cell = free.pop()
            try:
                return cell.call(function, item)
            except (Died, TookTooLong) as error:
                return Lost(item, error)
            finally:
                free.append(cell)

        died: list[ItemT] = []
        pool = ThreadPoolExecutor(processes)
        try:
            for item, result in _in_order(pool, attempt, items, ahead=processes * AHEAD):
                if isinstance(result, Lost) and isinstance(result.error, Died):
                    died.append(item)
                else:
                    yield item, result
        finally:
            pool.shutdown(cancel_futures=True)
        for item in died:
            yield item, attempt(item)


def _in_order(
    pool: ThreadPoolExecutor,
    function: Callable[[ItemT], ResultT],
    items: Iterable[ItemT],
    *,
    ahead: int,
) -> Iterator[tuple[ItemT, ResultT]]:
    """Each item with its result, at most so many of them ahead of whoever asks."""
    waiting: deque[tuple[ItemT, Future[ResultT]]] = deque()
    for item in items:
        waiting.append((item, pool.submit(function, item)))
        if len(waiting) > ahead:
            first, future = waiting.popleft()
            yield first, future.result()
    while waiting:
        first, future = waiting.popleft()
        yield first, future.result()


def call_once(
    function: Callable[..., ResultT], *arguments: Any, seconds: float, memory: int
) -> ResultT:
    """Call a function in a process that is kept for the next call; see `Cell.call`."""
    with _cells(1, seconds=seconds, memory=memory) as (cell,):
        return cell.call(function, *arguments)


_kept: dict[tuple[float, int], list[Cell]] = {}
"""Cells that nobody uses now, by their limits."""
os.register_at_fork(after_in_child=_kept.clear)


@atexit.register
def _close_kept() -> None:
    for cells in _kept.values():
        for cell in cells:
            cell.close()
    _kept.clear()


@contextmanager
def _cells(count: int, *, seconds: float, memory: int) -> Iterator[list[Cell]]:
    """Cells for as long as the block lasts; one is kept for the next block."""
    kept = _kept.setdefault((seconds, memory), [])
    cells = [kept.pop() if kept else Cell(seconds=seconds, memory=memory) for _ in range(count)]
    try:
        yield cells
    finally:
        first, *others = cells
        for cell in others:
            cell.close()
        kept.append(first)


def main() -> None:
    """Answer the calls that come through a connection until it is closed."""
    import logging

    connection: Connection[Any, Any] = Connection(int(sys.argv[1]))
    logging.disable(logging.CRITICAL)  # what a library logs may quote a patient's name
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(PREFERRED_VICTIM))
    _bound_memory(int(sys.argv[2]))
    connection.send(True)
    while True:
        try:
            function, arguments = connection.recv()
        except (EOFError, ConnectionError):
            return
        try:
            answer = True, function(*arguments), ""
        except Exception as error:
            answer = False, error, frames_of(error)
        try:
            connection.send(answer)
        except Exception as error:  # it cannot be pickled
            connection.send((False, RuntimeError("The answer cannot be sent."), frames_of(error)))


def _bound_memory(extra: int) -> None:
    """Let this process take so many bytes more than it has now."""
    status = Path("/proc/self/status").read_text()
    now = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmData:"))
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (now * 1024 + extra, most))


if __name__ == "__main__":
    main()
