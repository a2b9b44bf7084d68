"""While images are erased, no step writes; and no step begins before a killed erasure is finished.

Each step of the loop holds a shared lock on the installation, an erasure holds it alone. A lock
goes with the process that holds it, however that ends, so an erasure also leaves a journal in the
home: ``erasures/<dataset>.json``, until all is removed.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.errors import Unavailable
from pipelines.locks import locked_if_free
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
    with _held(settings, shared=True, what=what):
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
    with _held(settings, shared=False, what=what):
        yield


@contextmanager
def _held(settings: Settings, *, shared: bool, what: str) -> Iterator[None]:
    deadline, is_told = time.monotonic() + WAIT_SECONDS, False
    while time.monotonic() <= deadline:
        with locked_if_free(settings.work / "steps.lock", shared=shared) as is_held:
            if is_held:
                yield
                return
        if not is_told:
            logger.warning("Waiting: %s", what)
            is_told = True
        time.sleep(PAUSE_SECONDS)
    raise Unavailable(
        f"Waited {WAIT_SECONDS / 60:g} minutes: {what}. Nothing was changed. Wait until it is "
        "over, and try again."
    )
