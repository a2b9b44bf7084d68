"""One process at a time in a folder of work."""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

logger = logging.getLogger(__name__)


@contextmanager
def alone(workdir: Path) -> Iterator[None]:
    """Let one process of this machine at a time work in a folder; another waits.

    The lock goes with the process that holds it, however that ends.

    A scheduler that lost sight of a task starts it again while the first may still run.
    """
    workdir.parent.mkdir(parents=True, exist_ok=True)
    with _locked(workdir.with_suffix(".lock")):
        workdir.mkdir(exist_ok=True)
        yield


@contextmanager
def idle(lock: Path) -> Iterator[bool]:
    """Hold the lock file of a folder of work if nobody works there; whether that is so.

    Args:
        lock: the folder with the suffix ``.lock``. Whoever holds it may delete it.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield _is_at(lock, file)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    while True:
        with path.open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logger.info("another process holds %s; waiting for it", path)
                fcntl.flock(lock, fcntl.LOCK_EX)
            if _is_at(path, lock):  # prune deletes locks of work that is over
                yield
                return


def _is_at(path: Path, file: IO[str]) -> bool:
    """Whether an open file is the one at a path: others lock that one."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
