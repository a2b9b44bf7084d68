"""Alerts by e-mail, through the mail server of the house."""

import logging
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from pipelines.alerts.channel import SECONDS, read_secret
from pipelines.alerts.notice import Notice
from pipelines.errors import DeliveryFailed
from pipelines.settings import Settings, listed

logger = logging.getLogger(__name__)


class Mail:
    """SMTP, by default with STARTTLS.

    Certificates are held against the system's (``SSL_CERT_FILE`` names others).

    Args:
        settings: server, login, sender and recipients (``alert_smtp_…``, ``alert_email_…``).
    """

    name = "e-mail"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._recipients = listed(settings.alert_email_to)

    def deliver(self, notice: Notice) -> None:
        """Send one message to all recipients."""
        place = f"{self._settings.alert_smtp_host}:{self._settings.alert_smtp_port}"
        try:
            with self._logged_in() as server:
                refused = server.send_message(self._message(notice))
        except (OSError, smtplib.SMTPException) as error:
            raise DeliveryFailed(f"The mail server {place} did not take it: {error}") from error
        except UnicodeError:
            raise DeliveryFailed("A mail server's user and password must be ASCII.") from None
        if refused:
            # The others have it; sending it again would not help these.
            logger.error("The mail server %s refused %s", place, ", ".join(refused))

    @contextmanager
    def _logged_in(self) -> Iterator[smtplib.SMTP]:
        settings = self._settings
        host, port = settings.alert_smtp_host or "localhost", settings.alert_smtp_port
        trust = ssl.create_default_context()
        if settings.alert_smtp_tls == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=SECONDS, context=trust)
        else:
            server = smtplib.SMTP(host, port, timeout=SECONDS)
        try:
            if settings.alert_smtp_tls == "starttls":
                server.starttls(context=trust)
            if settings.alert_smtp_user and settings.alert_smtp_password_file:
                password = read_secret(settings.alert_smtp_password_file)
                server.login(settings.alert_smtp_user, password)
            yield server
        finally:
            # The message is taken, or not, by now.
            with suppress(OSError, smtplib.SMTPException):
                server.quit()
            server.close()

    def _message(self, notice: Notice) -> EmailMessage:
        sender = self._settings.alert_email_from or ""
        host = sender.rpartition("@")[2]
        message = EmailMessage(policy=SMTP)
        message["Subject"] = notice.headline
        message["From"] = sender
        message["To"] = ", ".join(self._recipients)
        # Of this attempt: dated hours ago, a late message is sorted below those already read.
        message["Date"] = format_datetime(datetime.now(UTC))
        # The same if it is sent twice, and all about one trouble stand together.
        message["Message-ID"] = f"<{notice.id}@{host}>"
        message["References"] = f"<{notice.thread}@{host}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(notice.body)
        return message
