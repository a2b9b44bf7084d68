"""Tells a client's program that its job has ended: which one and how, nothing of the patient.

A client that could name any address would let the service ask hosts inside of the hospital (SSRF).
So only the origins of a setting are asked, redirects are not followed, and the answer's body is
read by nobody.
"""

import json
import logging
import time
from urllib.parse import urlsplit

import httpx

from pipelines.alerts.channel import read_secret
from pipelines.alerts.webhook import proof
from pipelines.errors import DeliveryFailed
from pipelines.jobs.table import Job
from pipelines.service_client import trusted
from pipelines.settings import Settings, listed

logger = logging.getLogger(__name__)

SECONDS = 10.0
"""How long the receiver may take."""


def is_allowed(settings: Settings, url: str) -> bool:
    """Whether a URL's origin is one that a job may name."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    origin = f"{parts.scheme}://{parts.netloc}"  # a login in it makes it another
    return origin in listed(settings.queue_webhook_origins) and "\\" not in url


async def notify(settings: Settings, job: Job) -> bool:
    """Post that a job has ended; whether it was taken (2xx), or may not be sent (any more)."""
    if job.notify is None or settings.queue_webhook_secret_file is None:
        return True
    if not is_allowed(settings, job.notify):
        logger.warning("job %s: its notice goes to an origin that is not allowed now", job.id)
        return True
    body = json.dumps({"job": job.id, "status": job.status}).encode()
    try:
        secret = read_secret(settings.queue_webhook_secret_file)
        headers = proof(secret, body, sent_at=time.time(), way="hmac")
        async with (
            httpx.AsyncClient(
                timeout=SECONDS, trust_env=False, verify=trusted(settings.service_ca)
            ) as http,
            http.stream(
                "POST",
                job.notify,
                content=body,
                headers=headers | {"Content-Type": "application/json"},
            ) as reply,
        ):
            return reply.is_success
    except (httpx.HTTPError, httpx.InvalidURL, DeliveryFailed) as error:
        logger.info("job %s: its notice was not taken (%s)", job.id, type(error).__name__)
        return False
