"""How much memory a step takes, with all processes it starts; and that it takes no more.

A limit of the operating system would not do: what a process may address (``RLIMIT_AS``) is far
more than what it uses in TensorFlow or a JVM, and each child would have the whole again. So the
shares of all of them are added up every two seconds. A step that is above its bound fails with a
sentence, where the system would have ended whatever it finds largest: the service, perhaps.
"""

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import psutil

from pipelines.errors import MemoryExceeded

logger = logging.getLogger(__name__)

EVERY_SECONDS = 2.0
GIGABYTE = 1 << 30
SIGNAL = signal.SIGUSR2


@contextmanager
def bounded_memory(gigabytes: float, *, what: str) -> Iterator[None]:
    """Bound what this process and its children take while the context lasts; log the most.

    Only in a process's main thread, which is where the error is raised.

    Args:
        gigabytes: the bound.
        what: the work, for the messages.

    Raises:
        MemoryExceeded: they took more.
    """

    def exceeded(_: int, __: FrameType | None) -> None:
        raise MemoryExceeded(
            f"{what} takes more than {gigabytes:.1f} GB of memory. Give it more "
            "(MEDLOOP_HEAVY_GIGABYTES), if the machine has it, or less to do: a smaller "
            "batch_size or image size, fewer Spark cores (MEDLOOP_SPARK=local[1])."
        )

    before = signal.signal(SIGNAL, exceeded)
    ended = threading.Event()
    watch = threading.Thread(target=_watch, args=(gigabytes, what, ended), daemon=True)
    watch.start()
    try:
        yield
    finally:
        ended.set()
        watch.join()
        # Ignored where nothing else was wanted: one that is still on its way must end nobody.
        signal.signal(SIGNAL, before if callable(before) else signal.SIG_IGN)


def taken() -> float:
    """Gigabytes that this process and its children hold; what they share counts once."""
    own = psutil.Process()
    return sum(map(_share, [own, *own.children(recursive=True)])) / GIGABYTE


def _share(process: psutil.Process) -> float:
    try:
        return float(process.memory_full_info().pss)
    except psutil.Error:  # it has just ended
        return 0.0


def _watch(gigabytes: float, what: str, ended: threading.Event) -> None:
    most = 0.0
    while True:
        most = max(most, taken())
        if most > gigabytes:
            os.kill(os.getpid(), SIGNAL)
            break
        if ended.wait(EVERY_SECONDS):
            break
    logger.info("%s took %.2f GB of memory at most", what, most)
