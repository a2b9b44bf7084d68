"""Whom the service will be reachable for, judged before it listens: tokens, and TLS."""

import logging
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from pipelines.access.own import is_own, own_token
from pipelines.access.store import read_tokens, token_file
from pipelines.errors import SettingsError
from pipelines.reach import only_this_machine
from pipelines.settings import Settings

logger = logging.getLogger(__name__)

WARN_BEFORE = timedelta(days=14)
Auth = Literal["tokens", "loopback"]


@dataclass(frozen=True)
class Certificate:
    """Files of a TLS certificate and its key (PEM)."""

    cert: Path
    key: Path


def auth_for(host: str, settings: Settings) -> Auth:
    """Whether tokens are asked for at an address: always, beyond loopback.

    Without a token of a person the service starts too, and lets nobody in: it reads a new token
    within a second.

    Raises:
        SettingsError: the address is not one of this machine.
        TokenFileError: the file of tokens cannot be read.
    """
    if only_this_machine(host) and settings.service_auth == "auto":
        return "loopback"
    own_token(settings)
    now = datetime.now(UTC)
    tokens = read_tokens(token_file(settings))
    if not any(token.state(now) == "active" and not is_own(token) for token in tokens):
        logger.warning("No API token opens this service: medloop token new NAME --role predict")
    return "tokens"


def certificate_of(settings: Settings) -> Certificate | None:
    """The certificate the service shows; ``None`` if it speaks plain HTTP.

    Raises:
        SettingsError: a file is missing, unreadable or does not belong to the other.
    """
    cert, key = settings.service_tls_cert, settings.service_tls_key
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        missing = "MEDLOOP_SERVICE_TLS_CERT" if cert is None else "MEDLOOP_SERVICE_TLS_KEY"
        raise SettingsError(f"TLS needs a certificate and its key; {missing} is not set.")
    for name, path in (("CERT", cert), ("KEY", key)):
        if not path.is_file():
            raise SettingsError(f"MEDLOOP_SERVICE_TLS_{name}={path}: there is no such file.")
    _require_pair(cert, key)
    _tell_expiry(cert)
    return Certificate(cert, key)


def _require_pair(cert: Path, key: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # a password would be asked for on a terminal that is not there
        context.load_cert_chain(cert, key, password=_no_password)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise SettingsError(
            f"MEDLOOP_SERVICE_TLS_CERT={cert} and MEDLOOP_SERVICE_TLS_KEY={key} cannot be used "
            f"({error}); expected PEM files that belong together, the key without a password."
        ) from error


def _tell_expiry(cert: Path) -> None:
    """Warn of a certificate's end. It is no reason not to start: it would be one to be down."""
    from cryptography import x509

    ends = x509.load_pem_x509_certificate(cert.read_bytes()).not_valid_after_utc
    if ends < datetime.now(UTC) + WARN_BEFORE:
        logger.warning("The certificate %s ends on %s; renew it", cert, f"{ends:%Y-%m-%d}")


def _no_password() -> str:
    raise ValueError("the key has a password")
