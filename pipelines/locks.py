"""Locks that processes of one machine share; each ends with the process that holds it."""

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path


@contextmanager
def rotation_locked(folder: Path) -> Iterator[None]:
    """Keep the logs of a folder from being rotated (``.1`` becomes ``.2``): hold their locks.

    Each log's lock is ``.NAME.lock`` (`serving.records.log.Appended`). Listing the folder twice
    would not do: a file that is renamed during a listing may be missing from it, and from the next
    one, too.
    """
    with ExitStack() as held:
        for path in sorted(folder.glob(".*.lock")):
            fcntl.flock(held.enter_context(path.open("r+b")), fcntl.LOCK_EX)
        yield
