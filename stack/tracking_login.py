"""MLflow's login, where others than this machine can reach it: MLflow's own basic authentication.

Its users stand in MLflow's database; the first, ``admin``, is made with a password of ours at the
first start. Password and keys lie in private files that the server reads, not in its environment.
"""

import configparser
import io
import secrets
import socket
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import psutil

from pipelines.atomic import write_private
from pipelines.reach import WILDCARDS, address_of, only_this_machine
from pipelines.settings import Settings, listed
from pipelines.tracking.login import own_login_file
from stack import private

USER = "admin"


def is_guarded(settings: Settings) -> bool:
    """Whether the server asks for a login."""
    return settings.mlflow_auth == "on" or not only_this_machine(settings.host)


class Guard(NamedTuple):
    """What a server is started with besides, so that it asks for a login."""

    command: Sequence[str] = ()
    """Options of ``mlflow`` itself."""
    server: Sequence[str] = ()
    """Options of ``mlflow server``."""
    environment: Mapping[str, str] = {}


def guard(settings: Settings) -> Guard:
    """What a server is started with besides; nothing where it asks for no login.

    The names it may be called by stand among it: a web page elsewhere could have its own name
    lead here (DNS rebinding), so MLflow answers to no others.
    """
    if not is_guarded(settings):
        return Guard()
    folder = own_login_file(settings).parent
    hosts = [host for n in _names(settings) for host in (n, f"{n}:{settings.mlflow_port}")]
    origins = [f"{scheme}://{host}" for host in hosts for scheme in ("http", "https")]
    return Guard(
        command=("--env-file", str(folder / "keys.env")),
        server=(
            *("--app-name", "basic-auth"),
            *("--allowed-hosts", ",".join(hosts)),
            *("--cors-allowed-origins", ",".join(origins)),
        ),
        environment={"MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini")},
    )


def prepare(settings: Settings, *, users: str) -> None:
    """Write what a guarded server reads; password and keys are made once and then kept.

    Args:
        settings: the installation.
        users: URL of the database that keeps the users.
    """
    file = own_login_file(settings)
    login = private.once(file, _new_login)
    keys = private.once(file.with_name("keys.json"), lambda: {"session": secrets.token_hex(32)})
    write_private(file.with_name("keys.env"), f"MLFLOW_FLASK_SERVER_SECRET_KEY={keys['session']}\n")
    config = configparser.RawConfigParser()
    config["mlflow"] = {
        "default_permission": "READ",
        "database_uri": users.replace("%", "%%"),
        "admin_username": login["username"],
        "admin_password": login["password"],
        # A password is checked at every request, which costs more than the request.
        "auth_cache_ttl_seconds": "60",
    }
    text = io.StringIO()
    config.write(text)
    write_private(file.with_name("auth.ini"), text.getvalue())


def _new_login() -> dict[str, str]:
    return {"username": USER, "password": secrets.token_urlsafe(16)}


def _names(settings: Settings) -> list[str]:
    known = ["localhost", "127.0.0.1", address_of(settings.host), settings.host]
    if settings.host in WILDCARDS:
        known += [socket.gethostname(), *_own_addresses()]
    return list(dict.fromkeys([*known, *listed(settings.mlflow_hosts)]))


def _own_addresses() -> list[str]:
    found = psutil.net_if_addrs().values()
    return [a.address for card in found for a in card if a.family == socket.AF_INET]
