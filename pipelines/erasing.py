"""While images are erased, no step writes; and no step begins before a killed erasure is finished.

Each step of the loop holds a shared lock on the installation, an erasure holds it alone. A lock
goes with the process that holds it, however that ends, so an erasure also leaves a journal in the
home: ``erasures/<dataset>.json``, until all is removed.
"""

import fcntl
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pipelines.errors import Unavailable
from pipelines.settings import Settings

logger = logging.getLogger(__name__)

WAIT_SECONDS = 600.0
"""How long a step waits for an erasure, and an erasure for the steps that run."""
PAUSE_SECONDS = 0.2


def journal_file(settings: Settings, dataset: str) -> Path:
    """Where the journal of an erasure is while it is not finished."""
    return settings.home / "erasures" / f"{dataset}.json"


@contextmanager
def step(settings: Settings, dataset: str) -> Iterator[None]:
    """Run a step while nothing is erased.

    Raises:
        Unavailable: an erasure is at work for minutes, or one of the data set was cut short.
    """
    what = "images are being erased (medloop erase)"
    with _lock(settings) as lock, _held(lock, fcntl.LOCK_SH, what=what):
        if journal_file(settings, dataset).exists():
            raise Unavailable(
                f"An erasure of images of {dataset} was cut short, so this step could read what "
                f"must go. Finish it: medloop erase {dataset} --resume. Then try again."
            )
        yield


@contextmanager
def erasing(settings: Settings) -> Iterator[None]:
    """Erase while no step of any data set runs on this machine.

    Raises:
        Unavailable: one runs for minutes.
    """
    what = "a step of the loop runs (medloop status shows which)"
    with _lock(settings) as lock, _held(lock, fcntl.LOCK_EX, what=what):
        yield


@contextmanager
def _lock(settings: Settings) -> Iterator[IO[str]]:
    settings.work.mkdir(parents=True, exist_ok=True)
    with (settings.work / "steps.lock").open("a") as lock:
        yield lock


@contextmanager
def _held(lock: IO[str], how: int, *, what: str) -> Iterator[None]:
    deadline, is_told = time.monotonic() + WAIT_SECONDS, False
    while True:
        try:
            fcntl.flock(lock, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"Waited {WAIT_SECONDS / 60:g} minutes: {what}. Nothing was changed. Wait "
                    "until it is over, and try again."
                ) from None
            if not is_told:
                logger.warning("Waiting: %s", what)
                is_told = True
            time.sleep(PAUSE_SECONDS)
        else:
            break
    try:
        yield
    finally:
        fcntl.flock(lock, fcntl.LOCK_UN)
