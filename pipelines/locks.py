"""Locks that processes of one machine share; each ends with the process that holds it.

A lock is flock(2) on a file, so that the kernel frees it however its holder ends. `filelock`, which
MLflow brings, has no shared lock on flock: its readers' locks are a SQLite file or a lease that
others must wait out. `retention` also deletes the locks of work that is over, which `filelock` does
not expect.
"""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

logger = logging.getLogger(__name__)


@contextmanager
def locked(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold a lock; wait while another process does.

    Args:
        path: its file, which is made, for its owner alone, with its folder. Whoever holds it alone
            may delete it.
        shared: others may share it, and none may hold it alone.
    """
    with locked_if_free(path, shared=shared) as is_held:
        if is_held:
            yield
            return
    logger.info("another process holds %s; waiting for it", path)
    file = _acquire(path, _kind(shared))
    try:
        yield
    finally:
        os.close(file)


@contextmanager
def locked_if_free(path: Path, *, shared: bool = False) -> Iterator[bool]:
    """Hold a lock unless another process does; whether it is held. See `locked`."""
    try:
        file = _acquire(path, _kind(shared) | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
        return
    try:
        yield True
    finally:
        os.close(file)


@contextmanager
def alone(workdir: Path) -> Iterator[None]:
    """Let one process of this machine at a time work in a folder, which is made; another waits.

    A scheduler that lost sight of a task starts it again while the first may still run.
    """
    with locked(workdir.with_suffix(".lock")):
        workdir.mkdir(exist_ok=True)
        yield


@contextmanager
def rotation_locked(folder: Path) -> Iterator[None]:
    """Keep the logs of a folder from being rotated (``.1`` becomes ``.2``): hold their locks.

    Each log's lock is ``.NAME.lock`` (`serving.records.log.Appended`). Listing the folder twice
    would not do: a file that is renamed during a listing may be missing from it, and from the next
    one, too.
    """
    with ExitStack() as held:
        for path in sorted(folder.glob(".*.lock")):
            held.enter_context(locked(path))
        yield


def _kind(shared: bool) -> int:
    return fcntl.LOCK_SH if shared else fcntl.LOCK_EX


def _acquire(path: Path, operation: int) -> int:
    """The open file of a lock that is held until it is closed.

    Raises:
        BlockingIOError: another process holds it, and the operation says not to wait.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, operation)
            if _is_at(path, file):
                return file
        except BaseException:
            os.close(file)
            raise
        os.close(file)  # deleted while we waited: others lock the new one


def _is_at(path: Path, file: int) -> bool:
    """Whether an open file is the one at a path."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False
