"""A worker ends with the process that started it, so that a killed service frees its port."""

import logging
import os
import signal
import threading
import time

import bentoml

logger = logging.getLogger(__name__)

CHECK_SECONDS = 1.0


def end_with_parent() -> None:
    """Watch the parent from a thread, if this process is a worker of BentoML's supervisor."""
    if bentoml.server_context.worker_index is not None:
        threading.Thread(target=_watch, args=(os.getppid(),), name="parent", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(CHECK_SECONDS)
    logger.warning("The supervising process is gone; this worker ends too")
    os.kill(os.getpid(), signal.SIGTERM)
