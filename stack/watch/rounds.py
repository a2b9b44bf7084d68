"""What the watch does, again and again."""

import logging
import sqlite3
import time
from collections.abc import Callable

from pipelines.alerts.alert import Alert
from pipelines.alerts.book import Book
from pipelines.alerts.delivery import deliver, give_up_on_old
from pipelines.alerts.notice import Notice
from pipelines.alerts.send import resolve, send
from pipelines.errors import MedloopError
from pipelines.scheduler import EndedRun, open_scheduler
from pipelines.settings import Settings
from stack.catalog import all_parts
from stack.watch.exposition import Exposition
from stack.watch.observation import Observation, observe
from stack.watch.promotions import PromotionChecks
from stack.watch.troubles import Troubles

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_RUNS = 60.0
"""How often Airflow is asked how its runs ended."""
SECONDS_BETWEEN_SENDS = 3600.0
"""How often a trouble that goes on is told to the book, which decides whether people hear of it."""


class Watch:
    """One installation's.

    Args:
        settings: the installation.
        exposition: what shows others what was seen.
        look: asks every part how it is.
    """

    def __init__(
        self,
        settings: Settings,
        exposition: Exposition,
        look: Callable[[Settings], Observation] = observe,
    ) -> None:
        self._settings = settings
        self._look = look
        self._exposition = exposition
        needs = {part.name: part.needs for part in all_parts(settings)}
        self._troubles = Troubles(settings, needs, self._known())
        self._sent: dict[str, tuple[Alert, float]] = {}
        self._runs: list[EndedRun] = []
        self._runs_asked = -SECONDS_BETWEEN_RUNS
        self._promotions = PromotionChecks(settings)

    def round(self) -> None:
        """Look, tell, deliver what waits, have promotions checked, show."""
        self._promotions.round()
        seen = self._look(self._settings)
        verdict = self._troubles.judge(seen)
        for alert in verdict.troubles:
            self._tell(alert)
        for key in verdict.over:
            self._sent.pop(key, None)
            resolve(self._settings, key)
        troubles, waiting = self._look_after_the_book()
        self._exposition.show(seen, runs=self._last_runs(), troubles=troubles, waiting=waiting)

    def _known(self) -> list[str]:
        """Keys of what was told of before this process began."""
        try:
            with Book(self._settings) as book:
                return [notice.alert.key for notice in book.open_troubles()]
        except (sqlite3.Error, OSError) as error:
            logger.error("The book of alerts cannot be read: %s", error)
            return []

    def _tell(self, alert: Alert) -> None:
        before, at = self._sent.get(alert.key, (None, 0.0))
        worse = before is None or before.severity != alert.severity
        if worse or time.monotonic() - at > SECONDS_BETWEEN_SENDS:
            self._sent[alert.key] = (alert, time.monotonic())
            send(self._settings, alert)

    def _look_after_the_book(self) -> tuple[list[Notice], list[str]]:
        """Deliver what anybody has left to be delivered; what is open and what still waits."""
        try:
            with Book(self._settings) as book:
                some = bool(book.waiting())
            if some:
                deliver(self._settings, seconds=self._settings.watch_seconds)
                give_up_on_old(self._settings)
            with Book(self._settings) as book:
                return book.open_troubles(), [waiting.channel for waiting in book.waiting()]
        except (sqlite3.Error, OSError) as error:
            # The parts are to be looked after all the same.
            logger.error("The book of alerts cannot be read: %s", error)
            return [], []

    def _last_runs(self) -> list[EndedRun]:
        """As Airflow told it lately; what it told before, while it does not answer."""
        if time.monotonic() - self._runs_asked > SECONDS_BETWEEN_RUNS:
            self._runs_asked = time.monotonic()
            try:
                self._runs = open_scheduler(self._settings).last_ended()
            except MedloopError as error:
                logger.info("The last runs are not known: %s", error)
        return self._runs
