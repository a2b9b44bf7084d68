"""Has promotions checked while their versions are watched, in a process of its own.

The check loads MLflow and a model, which the watch is too small for; and whatever ails the check
must not end the watch.
"""

import logging
import subprocess
import sys
import time
from datetime import UTC, datetime

from pipelines.release.promotions import Promotion, watched
from pipelines.settings import Settings

logger = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "pipelines.cli", "check-promotions")
LEAST_SECONDS = 30.0
"""Between two checks."""
OF_AGE = 0.05
"""The same as a share of the time since the promotion: what is bad shows early."""
MOST_SECONDS = 600.0
"""How long a check may take."""


class PromotionChecks:
    """Starts one check after the other.

    Args:
        settings: the installation.
        command: what checks.
    """

    def __init__(self, settings: Settings, command: tuple[str, ...] = COMMAND) -> None:
        self._settings = settings
        self._command = command
        self._check: subprocess.Popen[bytes] | None = None
        self._started = -MOST_SECONDS

    def round(self) -> None:
        """Start a check if one is due; returns at once."""
        age = time.monotonic() - self._started
        if self._check is not None and self._check.poll() is None:
            if age > MOST_SECONDS:
                logger.error("The check of promotions takes too long; it is ended")
                self._check.kill()
            return
        if any(age >= _pause(promotion) for promotion in watched(self._settings)):
            self._started = time.monotonic()
            try:
                self._check = subprocess.Popen(self._command, stdin=subprocess.DEVNULL)
            except OSError as error:
                logger.error("Promotions cannot be checked: %s", error)


def _pause(promotion: Promotion) -> float:
    age = (datetime.now(UTC) - promotion.at).total_seconds()
    return max(LEAST_SECONDS, OF_AGE * age)
