"""Watches a landing folder for complete deliveries of new files.

A delivery is complete when nothing in the folder has changed for the spec's quiet period (files
under a temporary name count as changes while they grow). If the spec names a marker, it is complete
when the marker is written. Each delivery is announced once: the ledger lists the files that were
announced, or landed by hand, before.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from pipelines.data.folders import FileState, LandingFolder, landing_location, open_folder, wanted
from pipelines.data.land.ledger import Ledger, open_ledger
from pipelines.settings import get_settings
from pipelines.spec import DatasetSpec, load_spec
from pipelines.spec.data import LandingSpec

logger = logging.getLogger(__name__)

CHECKS_PER_QUIET_PERIOD = 4
SHORTEST_INTERVAL = 0.5
MARKER_INTERVAL = 5.0
"""Seconds between two checks for a marker; each costs one request."""


@dataclass(frozen=True)
class Delivery:
    """New files of a landing folder; complete."""

    dataset: str
    location: str
    files: tuple[FileState, ...]
    """The new files."""
    marker: FileState | None = None


class QuietPeriod:
    """Measures how long a folder has not changed, from one listing to the next."""

    def __init__(self) -> None:
        self._last: list[FileState] | None = None
        self._since = 0.0

    def quiet_for(self, listing: list[FileState], now: float) -> float:
        """Seconds since the listing changed last; 0 if it has just changed."""
        if listing != self._last:
            self._last, self._since = listing, now
        return now - self._since


class FolderWatcher:
    """Watches the landing folder of one data set.

    Each check reads the spec again, so changes to it take effect at once.

    Args:
        dataset: the data set's name.
        clock: monotonic seconds.
    """

    def __init__(self, dataset: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.dataset = dataset
        self._clock = clock
        self._quiet_period = QuietPeriod()
        self._old: list[FileState] | None = None
        """A listing without new files."""
        self._announced: Delivery | None = None
        self._logged = ""
        self.interval = SHORTEST_INTERVAL
        """Seconds until the next check."""

    def check(self) -> Delivery | None:
        """The complete delivery that was not announced yet, or ``None``.

        Raises:
            SpecError: the spec cannot be read.
            LandingError: the landing folder cannot be read.
            StoreUnavailable: HDFS or the bucket does not answer.
        """
        spec, settings = load_spec(self.dataset), get_settings()
        folder = open_folder(settings, landing_location(spec, settings))
        ledger = open_ledger(settings, self.dataset)
        check = self._for_marker if spec.landing.marker else self._for_quiet
        self.interval = _interval(spec.landing)
        if not folder.exists():
            self._log(f"the folder {folder.location} does not exist yet")
            return None
        delivery = check(spec.landing, folder, ledger)
        if delivery is None or delivery == self._announced:
            return None
        if ledger.is_landing():
            self._log(f"another process is landing files of {folder.location}")
            return None
        self._log(f"complete delivery in {folder.location}: {len(delivery.files):,} new files")
        return delivery

    def mark_announced(self, delivery: Delivery) -> None:
        """Record that a delivery was announced."""
        # Also in memory: if the ledger is not writable, a delivery must not start the loop forever.
        self._announced = delivery
        marker = [delivery.marker] if delivery.marker else []
        ledger = open_ledger(get_settings(), self.dataset)
        ledger.announce(delivery.location, [*delivery.files, *marker])

    def _for_quiet(
        self, spec: LandingSpec, folder: LandingFolder, ledger: Ledger
    ) -> Delivery | None:
        files = folder.all_files()
        if self._quiet_period.quiet_for(files, self._clock()) < spec.quiet_seconds:
            quiet = f"{spec.quiet_seconds:g} quiet seconds"
            self._log(f"{folder.location} changed; waiting for {quiet}")
            return None
        if files == self._old:
            return None
        new = ledger.unknown(folder.location, wanted(files, ignore=spec.left_out))
        if not new:
            self._log(f"no new files in {folder.location}")
            self._old = files
            return None
        return Delivery(self.dataset, folder.location, tuple(new))

    def _for_marker(
        self, spec: LandingSpec, folder: LandingFolder, ledger: Ledger
    ) -> Delivery | None:
        marker = folder.state(str(spec.marker))
        if marker is None or not ledger.unknown(folder.location, [marker]):
            self._log(f"waiting for {folder.location}/{spec.marker} to be written")
            return None
        new = ledger.unknown(folder.location, folder.files(ignore=spec.left_out))
        if not new:
            self._log(f"{folder.location}/{spec.marker} was written, but there are no new files")
            ledger.announce(folder.location, [marker])
            return None
        return Delivery(self.dataset, folder.location, tuple(new), marker)

    def _log(self, state: str) -> None:
        """Log the state when it changes."""
        if state != self._logged:
            logger.info("%s: %s", self.dataset, state)
            self._logged = state


def _interval(spec: LandingSpec) -> float:
    if spec.marker:
        return MARKER_INTERVAL
    return max(SHORTEST_INTERVAL, spec.quiet_seconds / CHECKS_PER_QUIET_PERIOD)


@dataclass(frozen=True)
class Waiting:
    """Files of a landing folder that were not ingested yet."""

    files: int
    since: float
    """When the first of them arrived, in seconds since 1970."""


def waiting(spec: DatasetSpec) -> Waiting | None:
    """The files that wait in a data set's landing folder; ``None`` if there are none.

    Raises:
        LandingError: the landing folder cannot be read.
        StoreUnavailable: HDFS or the bucket does not answer.
    """
    settings = get_settings()
    folder = open_folder(settings, landing_location(spec, settings))
    if not folder.exists():
        return None
    files = folder.files(ignore=spec.landing.left_out)
    found = open_ledger(settings, spec.name).waiting(folder.location, files)
    return Waiting(len(found), min(file.arrived for file in found)) if found else None
