"""Looks at an installation the way its users do, and tells what happens, and when."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pipelines.cli.outcome import decision
from pipelines.errors import MedloopError
from pipelines.scheduler import RunState, open_scheduler
from pipelines.service_client import ServiceClient
from pipelines.settings import Settings

PATIENCE = 600
"""Seconds that anything waited for may take."""

Found = TypeVar("Found")


@dataclass
class Asked:
    """How often the service was asked, and how often it failed."""

    requests: int = 0
    failures: int = 0
    versions: tuple[int, ...] = ()
    """Those that answered, in the order of coming."""


class Onlooker:
    """Watches one data set of an installation.

    Args:
        settings: the installation.
        dataset: the data set.
    """

    def __init__(self, settings: Settings, dataset: str) -> None:
        self.dataset = dataset
        self.service = ServiceClient(settings)
        self._scheduler = open_scheduler(settings)
        self._began = time.monotonic()

    def tell(self, text: str) -> None:
        """Print a line with the seconds since the beginning."""
        print(f"{time.monotonic() - self._began:6.0f} s  {text}", flush=True)

    def run(self, kind: str) -> RunState | None:
        """The newest run of a DAG (``retrain``, ``monitor`` …)."""
        return self._scheduler.latest(f"{kind}_{self.dataset}")

    def await_run(self, kind: str, *, after: RunState | None) -> RunState:
        """Wait until a later run has ended, and tell what came of it."""
        before = after.run if after else ""

        def ended() -> RunState | None:
            run = self.run(kind)
            return run if run and run.run != before and run.ended else None

        run = _waited_for(ended, f"a run of {kind}_{self.dataset}")
        woken = run.run.partition("__")[0].replace("_", " ")
        decided = decision(run)
        self.tell(f"{run.dag} ended ({woken}): {run.state}{f', {decided}' if decided else ''}")
        return run

    def await_version(self, *, other_than: int | None = None) -> int:
        """Wait until a version (another than one) answers for the data set; which one."""

        def served() -> int | None:
            try:
                version = self.service.versions().get(self.dataset)
            except MedloopError:
                return None
            return None if version == other_than else version

        return _waited_for(served, f"a champion of {self.dataset} in service")

    @contextmanager
    def asking(self, image: Path, *, every: float = 0.2) -> Iterator[Asked]:
        """Ask the service again and again meanwhile; what came of it."""
        asked, done = Asked(), threading.Event()

        def ask() -> None:
            while not done.wait(every):
                asked.requests += 1
                try:
                    version = self.service.predict(image, dataset=self.dataset)["model_version"]
                except MedloopError as error:
                    asked.failures += 1
                    self.tell(f"a request failed: {error}")
                    continue
                if version not in asked.versions:
                    asked.versions += (version,)
                    self.tell(f"the service answers with version {version}")

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        try:
            yield asked
        finally:
            done.set()
            thread.join()


def _waited_for(look: Callable[[], Found | None], what: str) -> Found:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = look()
        if found is not None:
            return found
        time.sleep(1)
    raise TimeoutError(f"waited {PATIENCE} s for {what}")
