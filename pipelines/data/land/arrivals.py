"""Watching a landing folder: telling when new files have arrived, and are complete.

A delivery is complete when nothing in the folder has changed for the spec's quiet period (files
under a temporary name count as change while they grow), or, where the spec names a marker, when
that is written, and then only. A delivery is told of once: the ledger knows which files were
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

LOOKS_PER_QUIET = 4
SHORTEST_STEP = 0.5
MARKER_STEP = 5.0
"""Seconds between two looks for a marker, which cost one question each."""


@dataclass(frozen=True)
class Delivery:
    """New files of a landing folder, all there."""

    dataset: str
    location: str
    files: tuple[FileState, ...]
    """What is new."""
    marker: FileState | None = None


class Settling:
    """Tells from one listing after the other since when nothing has changed."""

    def __init__(self) -> None:
        self._last: list[FileState] | None = None
        self._since = 0.0

    def quiet_for(self, listing: list[FileState], now: float) -> float:
        """Seconds for which the folder has been as ``listing`` says; 0 if that is new."""
        if listing != self._last:
            self._last, self._since = listing, now
        return now - self._since


class Watch:
    """Watches the landing folder of one data set.

    The spec is read anew at each look, so that a correction of it holds at once.

    Args:
        dataset: the data set's name.
        clock: seconds that only ever grow.
    """

    def __init__(self, dataset: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.dataset = dataset
        self._clock = clock
        self._settling = Settling()
        self._old: list[FileState] | None = None
        """A listing in which nothing is new."""
        self._told: Delivery | None = None
        self._said = ""
        self.step = SHORTEST_STEP
        """Seconds to the next look."""

    def look(self) -> Delivery | None:
        """The delivery that is complete now and was not told of yet, if there is one.

        Raises:
            SpecError: the spec cannot be read (any more).
            LandingError: the landing folder cannot be read.
            StoreUnavailable: it is in HDFS, which does not answer.
        """
        spec, settings = load_spec(self.dataset), get_settings()
        source = open_folder(settings, landing_location(spec, settings))
        ledger = open_ledger(settings, self.dataset)
        look = self._for_marker if spec.landing.marker else self._for_quiet
        self.step = _step(spec.landing)
        if not source.exists():
            self._say(f"there is no folder {source.location} yet")
            return None
        delivery = look(spec.landing, source, ledger)
        if delivery is None or delivery == self._told:
            return None
        if ledger.is_landing():
            self._say(f"files of {source.location} are being landed already")
            return None
        self._say(f"a delivery is complete in {source.location}: {len(delivery.files):,} new")
        return delivery

    def told(self, delivery: Delivery) -> None:
        """Note that the loop is woken for a delivery."""
        # In memory too: were the ledger not writable, one delivery would wake the loop for ever.
        self._told = delivery
        marker = [delivery.marker] if delivery.marker else []
        ledger = open_ledger(get_settings(), self.dataset)
        ledger.announce(delivery.location, [*delivery.files, *marker])

    def _for_quiet(
        self, spec: LandingSpec, source: LandingFolder, ledger: Ledger
    ) -> Delivery | None:
        everything = source.all_files()
        if self._settling.quiet_for(everything, self._clock()) < spec.quiet_seconds:
            quiet = f"{spec.quiet_seconds:g} quiet seconds"
            self._say(f"{source.location} has changed; waiting for {quiet}")
            return None
        if everything == self._old:
            return None
        new = ledger.unknown(source.location, wanted(everything, ignore=spec.left_out))
        if not new:
            self._say(f"nothing new in {source.location}")
            self._old = everything
            return None
        return Delivery(self.dataset, source.location, tuple(new))

    def _for_marker(
        self, spec: LandingSpec, source: LandingFolder, ledger: Ledger
    ) -> Delivery | None:
        marker = source.state(str(spec.marker))
        if marker is None or not ledger.unknown(source.location, [marker]):
            self._say(f"waiting for {source.location}/{spec.marker} to be written (anew)")
            return None
        new = ledger.unknown(source.location, source.files(ignore=spec.left_out))
        if not new:
            self._say(f"{source.location}/{spec.marker} was written, but nothing is new")
            ledger.announce(source.location, [marker])
            return None
        return Delivery(self.dataset, source.location, tuple(new), marker)

    def _say(self, what: str) -> None:
        """Log what is seen or waited for, once."""
        if what != self._said:
            logger.info("%s: %s", self.dataset, what)
            self._said = what


def _step(spec: LandingSpec) -> float:
    if spec.marker:
        return MARKER_STEP
    return max(SHORTEST_STEP, spec.quiet_seconds / LOOKS_PER_QUIET)


@dataclass(frozen=True)
class Waiting:
    """Files of a landing folder that no snapshot and no quarantine holds."""

    files: int
    since: float
    """When the first of them came, in seconds since 1970."""


def waiting(spec: DatasetSpec) -> Waiting | None:
    """What waits in a data set's landing folder; ``None`` if nothing does.

    Raises:
        LandingError: the landing folder cannot be read.
        StoreUnavailable: it is in HDFS, which does not answer.
    """
    settings = get_settings()
    source = open_folder(settings, landing_location(spec, settings))
    if not source.exists():
        return None
    files = source.files(ignore=spec.landing.left_out)
    found = open_ledger(settings, spec.name).waiting(source.location, files)
    return Waiting(len(found), min(file.arrived for file in found)) if found else None
