"""One process at a time in a folder of work."""

import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

logger = logging.getLogger(__name__)


@contextmanager
def alone(workdir: Path) -> Iterator[None]:
    """Let one process of this machine at a time work in a folder; another waits.

    The lock goes with the process that holds it, however that ends.

    A scheduler that lost sight of a task starts it again while the first may still run.
    """
    workdir.parent.mkdir(parents=True, exist_ok=True)
    with workdir.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.info("another process works in %s; waiting for it", workdir)
            fcntl.flock(lock, fcntl.LOCK_EX)
        workdir.mkdir(exist_ok=True)
        yield
