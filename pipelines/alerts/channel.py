"""The ways in which an alert goes: each installation's own choice."""

from pathlib import Path
from typing import Protocol

from pipelines.alerts.notice import Notice
from pipelines.errors import DeliveryFailed
from pipelines.settings import Settings

SECONDS = 5.0
"""How long a server may take for one step of taking a notice."""


class Channel(Protocol):
    """One way."""

    @property
    def name(self) -> str:
        """As the outbox and the commands call it."""

    def deliver(self, notice: Notice) -> None:
        """Hand one notice over; it may come a second time.

        Raises:
            DeliveryFailed: it was not taken; the message says why, without a secret.
        """


def open_channels(settings: Settings) -> list[Channel]:
    """The log, and what the settings name besides."""
    from pipelines.alerts.log import Log
    from pipelines.alerts.mail import Mail
    from pipelines.alerts.webhook import Webhook

    channels: list[Channel] = [Log(settings)]
    if settings.alert_email_to:
        channels.append(Mail(settings))
    if settings.alert_webhook_url_file:
        channels.append(Webhook(settings, settings.alert_webhook_url_file))
    return channels


def read_secret(path: Path) -> str:
    """The one line of a file that holds a secret.

    Raises:
        DeliveryFailed: there is no such line.
    """
    try:
        text = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DeliveryFailed(f"{path} cannot be read ({type(error).__name__}).") from error
    if not text or "\n" in text:
        raise DeliveryFailed(f"{path} should hold one line, the secret alone.")
    return text
