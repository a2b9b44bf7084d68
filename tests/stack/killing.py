"""Kills processes of a running stack, and asks its service all the while."""

import logging
import signal
import threading
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import psutil

import stack
from pipelines.errors import MedloopError
from pipelines.service_client import ServiceClient
from pipelines.settings import Settings
from stack import PartStatus

logger = logging.getLogger(__name__)

RETURN_SECONDS = 600


def statuses(settings: Settings) -> dict[str, PartStatus]:
    """Each process of the stack by its name."""
    return {part.name: part for part in stack.status(settings)}


def kill(process: psutil.Process) -> None:
    """Kill a process without mercy."""
    process.send_signal(signal.SIGKILL)
    process.wait(10)


def kill_part(settings: Settings, name: str) -> int:
    """Kill a process of the stack; its pid."""
    pid = statuses(settings)[name].pid
    assert pid is not None
    logger.info("Killing %s", name)
    kill(psutil.Process(pid))
    return pid


def await_return(settings: Settings, name: str, *, killed: int) -> None:
    """Wait until a process is ready again, as another process than the one that was killed."""
    deadline = time.monotonic() + RETURN_SECONDS
    while True:
        part = statuses(settings)[name]
        if part.state == "ready" and part.pid != killed:
            logger.info("%s is ready again", name)
            return
        assert time.monotonic() < deadline, part
        time.sleep(2)  # asking for all parts costs a third of a second of processor time


def supervisord(settings: Settings) -> psutil.Process:
    """The process that keeps the others alive, or the one that did last."""
    while True:
        try:
            pid_file = settings.home / "supervisor" / "supervisord.pid"
            return psutil.Process(int(pid_file.read_text()))
        except (OSError, ValueError, psutil.NoSuchProcess):
            time.sleep(0.1)


def power_cut(settings: Settings) -> None:
    """Kill all there is of a stack at once."""
    daemon = supervisord(settings)
    everything = [daemon, *daemon.children(recursive=True)]
    for process in everything:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    psutil.wait_procs(everything, timeout=30)


class Asking:
    """Asks the service the same question again and again, and notes when it did not answer.

    Args:
        settings: reaches the service.
        image: what is asked about.
        dataset: by whose champion.
    """

    def __init__(self, settings: Settings, image: Path, *, dataset: str) -> None:
        self._client = ServiceClient(settings)
        self._image = image
        self._dataset = dataset
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self.answers: list[float] = []
        """When each answer came (monotonic seconds)."""

    def __enter__(self) -> "Asking":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def await_first_answer(self) -> None:
        """Wait until the service has answered once."""
        deadline = time.monotonic() + RETURN_SECONDS
        while not self.answers:
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def longest_silence(self, *, since: float, until: float) -> float:
        """Seconds of the longest time without an answer."""
        times = [since, *(at for at in self.answers if since < at < until), until]
        return max(after - before for before, after in pairwise(times))

    def _ask(self) -> None:
        while not self._over.wait(0.2):
            try:
                self._client.predict(self._image, dataset=self._dataset)
            except MedloopError:
                continue
            self.answers.append(time.monotonic())
