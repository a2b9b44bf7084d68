"""Who can reach what listens at an address, and where it is reached from this machine."""

import ipaddress
import socket
from functools import lru_cache

from pipelines.errors import SettingsError

LOOPBACK = "127.0.0.1"
WILDCARDS = {"0.0.0.0": LOOPBACK, "::": "::1"}


def is_loopback(address: str) -> bool:
    """Whether an IP address is one of this machine alone."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def ip_address(host: str) -> str:
    """The IP address of a host name, for servers that listen at nothing else."""
    return str(socket.getaddrinfo(host, None)[0][4][0])


@lru_cache
def only_this_machine(host: str) -> bool:
    """Whether only this machine reaches what listens at a host name or address.

    Raises:
        SettingsError: it is none of this machine's.
    """
    try:
        found = socket.getaddrinfo(host, None)
    except OSError as error:
        raise SettingsError(
            f"MEDLOOP_HOST or --host {host!r} is no address of this machine ({error})."
        ) from error
    return all(is_loopback(str(address[0])) for *_, address in found)


def within(host: str) -> str:
    """Where parts listen that ask nobody who they are: at ``host`` only if it is loopback."""
    return host if only_this_machine(host) else LOOPBACK


def address_of(host: str) -> str:
    """Where this machine's own clients reach what listens at ``host``."""
    return WILDCARDS.get(host, host)
