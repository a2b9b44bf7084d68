"""From the outbox to the channels: now if they take it, later if they do not."""

import logging
import sqlite3
import time
from threading import Thread

from pipelines.alerts.book import Book
from pipelines.alerts.channel import Channel, open_channels
from pipelines.errors import DeliveryFailed
from pipelines.settings import Settings

logger = logging.getLogger(__name__)


def deliver(settings: Settings, *, seconds: float) -> None:
    """Hand over what is due, each channel by itself, and come back in time.

    What is not taken by then stays in the outbox. Never raises.

    Args:
        settings: the installation.
        seconds: how long the caller may be kept waiting.
    """
    deadline = time.monotonic() + seconds
    threads = [
        Thread(target=_empty, args=(settings, channel, deadline), daemon=True)
        for channel in open_channels(settings)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0))


def give_up_on_old(settings: Settings) -> None:
    """Say in the log what could not be delivered for days, and try it no more."""
    with Book(settings) as book:
        for lost in book.give_up():
            logger.error(
                "Not delivered by %s for days, given up (%s): %s",
                *(lost.channel, lost.error, lost.notice.headline),
            )


def _empty(settings: Settings, channel: Channel, deadline: float) -> None:
    """Deliver what is due; wait for what soon will be."""
    try:
        while time.monotonic() < deadline:
            delay = _next(settings, channel)
            if delay is None or time.monotonic() + delay > deadline:
                return
            time.sleep(delay)
    except (sqlite3.Error, OSError) as error:
        logger.error("Alerts by %s wait: the book of alerts: %s", channel.name, error)
    except Exception:
        # In a thread of its own there is nobody to tell; the notice stays in the outbox.
        logger.exception("Alerts by %s wait", channel.name)


def _next(settings: Settings, channel: Channel) -> float | None:
    """Deliver one notice; seconds until the next try, ``None`` where nothing is due."""
    with Book(settings) as book:
        waiting = book.take(channel.name)
    if waiting is None:
        return None
    try:
        channel.deliver(waiting.notice)
    except DeliveryFailed as error:
        with Book(settings) as book:
            delay = book.failed(waiting, str(error))
        logger.error("An alert by %s waits %.0f s: %s", channel.name, delay, error)
        return delay
    with Book(settings) as book:
        book.delivered(waiting)
    return 0.0
