"""Tell people of trouble, and that it is over."""

import logging
import sqlite3
import time
from collections.abc import Callable

from pipelines.alerts.alert import Alert
from pipelines.alerts.book import Book, make_notice
from pipelines.alerts.channel import open_channels
from pipelines.alerts.delivery import deliver
from pipelines.errors import DeliveryFailed
from pipelines.settings import Settings

logger = logging.getLogger(__name__)

SECONDS = 6.0
"""How long telling may hold up who tells; the watch delivers what was not taken by then."""


def send(settings: Settings, alert: Alert) -> None:
    """Tell of an alert in every way the installation names; never raises.

    The same trouble (`Alert.key`) is told once in ``alert_repeat_hours``, however often and by
    however many processes it is seen, and at once if it has become worse.
    """
    _note(settings, lambda book, ways: book.report(alert, ways), otherwise=alert)


def resolve(settings: Settings, key: str) -> None:
    """Say that a trouble is over, if it was told of; never raises."""
    _note(settings, lambda book, ways: book.close(key, ways), otherwise=None)


def _note(
    settings: Settings, change: Callable[[Book, list[str]], bool], *, otherwise: Alert | None
) -> None:
    # Trouble with telling must not become trouble of who tells.
    try:
        ways = [channel.name for channel in open_channels(settings)]
        with Book(settings) as book:
            changed = change(book, ways)
        if changed:
            deliver(settings, seconds=SECONDS)
    except (sqlite3.Error, OSError) as error:
        logger.error("The book of alerts cannot be written (%s)", error)
        if otherwise:
            _tell_without_book(settings, otherwise)
    except Exception:
        logger.exception("An alert could not be told")


def _tell_without_book(settings: Settings, alert: Alert) -> None:
    """Where nothing can be written (the disk is full), telling twice is better than not at all."""
    now = time.time()
    notice = make_notice(alert, "begun", since=now, at=now)
    for channel in open_channels(settings):
        try:
            channel.deliver(notice)
        except DeliveryFailed as error:
            logger.error("An alert by %s is lost: %s", channel.name, error)
        except Exception:
            logger.exception("An alert by %s is lost", channel.name)
