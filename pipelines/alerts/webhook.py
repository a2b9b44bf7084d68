"""Alerts as JSON to an address: Slack and what takes Slack's form, or a program of one's own.

``text`` is what chats show; the other fields are for programs.
"""

import hashlib
import hmac
import json
import time
from http.client import HTTPException
from pathlib import Path
from typing import Any, Literal
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from pipelines.alerts.channel import SECONDS, read_secret
from pipelines.alerts.notice import Notice
from pipelines.errors import DeliveryFailed
from pipelines.settings import Settings

TIMESTAMP = "X-Medloop-Timestamp"
SIGNATURE = "X-Medloop-Signature"


class Webhook:
    """One address.

    Args:
        settings: the secret, if there is one, and what it is used for.
        url_file: the file with the address.
    """

    name = "webhook"

    def __init__(self, settings: Settings, url_file: Path) -> None:
        self._url_file = url_file
        self._secret_file = settings.alert_webhook_secret_file
        self._auth = settings.alert_webhook_auth

    def deliver(self, notice: Notice) -> None:
        """Post one notice; anything but a 2xx is a refusal."""
        body = json.dumps(payload(notice)).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "medloop"}
        if self._secret_file:
            headers |= proof(
                read_secret(self._secret_file), body, sent_at=time.time(), way=self._auth
            )
        request = Request(self._url(), data=body, headers=headers, method="POST")
        # No message of ours or of the library may hold the address, hence the bare reasons;
        # httpx would log it.
        try:
            with build_opener(_NoRedirect).open(request, timeout=SECONDS):
                return
        except HTTPError as error:
            raise DeliveryFailed(f"The webhook answers {error.code} {error.reason}.") from None
        except URLError as error:
            raise DeliveryFailed(f"The webhook cannot be reached: {error.reason}.") from None
        except (OSError, HTTPException) as error:
            raise DeliveryFailed(f"The webhook broke off: {type(error).__name__}.") from None

    def _url(self) -> str:
        url = read_secret(self._url_file)
        if not url.startswith(("https://", "http://")) or any(c.isspace() for c in url):
            raise DeliveryFailed(f"{self._url_file} holds no http:// or https:// address.")
        return url


def payload(notice: Notice) -> dict[str, str | int | None]:
    """What is posted."""
    alert = notice.alert
    detail = "" if notice.state == "over" else _escaped(alert.text.strip())
    lines = [f"*{_escaped(notice.headline)}*", detail, _escaped(alert.link or "")]
    return {
        "text": "\n".join(line for line in lines if line),
        "state": notice.state,
        "kind": alert.kind,
        "severity": alert.severity,
        "dataset": alert.dataset,
        "subject": alert.subject,
        "title": alert.title,
        "detail": alert.text,
        "link": alert.link,
        "since": notice.since.isoformat(),
        "at": notice.at.isoformat(),
        "seen": notice.seen,
        "host": notice.host,
        "key": alert.key,
        "id": notice.id,
    }


def proof(
    secret: str, body: bytes, *, sent_at: float, way: Literal["hmac", "bearer"]
) -> dict[str, str]:
    """The headers that authenticate the sender to the receiver.

    Args:
        secret: the shared secret.
        body: what is posted.
        sent_at: the time of this attempt, in seconds since 1970. A receiver rejects requests
            whose timestamp is old (replay protection), so a delivery that is retried hours after
            the alert must not carry the alert's time.
        way: ``hmac``, SHA-256 over the timestamp, a full stop and the body; or ``bearer``, the
            secret itself.
    """
    if way == "bearer":
        return {"Authorization": f"Bearer {secret}"}
    timestamp = str(int(sent_at))
    signed = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256)
    return {TIMESTAMP: timestamp, SIGNATURE: f"sha256={signed.hexdigest()}"}


class _NoRedirect(HTTPRedirectHandler):
    """A redirect is an answer like others: what is secret goes to the named address only."""

    def redirect_request(self, *_args: Any, **_options: Any) -> None:
        return None


def _escaped(text: str) -> str:
    """Text that calls nobody and links nowhere in a chat."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
