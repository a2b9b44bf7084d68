"""PostgreSQL: a real server from a wheel, reached through a unix socket only.

Airflow and MLflow have a database each. Nothing listens on the network; who may enter the
socket's folder may use the server, and that is the user who started the stack. Its clients ask
through `pipelines.database`.
"""

import os
import pwd
import shutil
import subprocess
from functools import cache
from pathlib import Path

from pipelines.database import DATABASES, RELEASE, SUPERUSER, host, program, sockets
from pipelines.errors import StackError
from pipelines.settings import Settings
from pipelines.sockets import make_socket_folder
from stack.environment import inherited_environment
from stack.part import Part, Process, Say

STOP_SECONDS = 60
"""For which it may write its checkpoint; killed before, it replays its log at the next start."""


def part(settings: Settings) -> Part:
    """The database server."""
    folder = sockets(settings)
    options = {
        "listen_addresses": "",
        "unix_socket_directories": str(folder),
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
                    program("postgres"),
                    "-D",
                    str(_data(settings)),
                    *given,
                ],
                obstacle=lambda _: _obstacle(settings),
                version=_release,
                url=f"unix:{folder}",
                # Fast shutdown: open sessions are ended, all that was committed is kept.
                stop_signal="INT",
                stop_seconds=STOP_SECONDS,
            )
        ],
        prepare=lambda say: _initialise(settings, say),
    )


def _data(settings: Settings) -> Path:
    return settings.home / "postgres" / "data"


@cache
def _release() -> str:
    said = subprocess.run(
        [program("postgres"), "--version"], capture_output=True, text=True, check=False
    ).stdout
    return said.strip().rpartition(" ")[2]


def _as_server_user() -> list[str]:
    """PostgreSQL refuses to run as root, so root runs it as nobody.

    It keeps one of root's privileges, to pass through folders that only root may enter: the
    environment and the data may well lie below ``/root``. ``no_setuid_fixup`` makes it count for
    access(2) too, by which ``initdb`` looks for its programs.
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
    kept = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    return [setpriv, *ids, "--securebits=+no_setuid_fixup", *kept, "--"]


def _give_to_server_user(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.geteuid() == 0:
        user = pwd.getpwnam("nobody")
        os.chown(folder, user.pw_uid, user.pw_gid)


def _initialise(settings: Settings, say: Say) -> None:
    make_socket_folder(sockets(settings))
    _give_to_server_user(sockets(settings))
    data = _data(settings)
    if data.is_dir():
        _require_release(data)
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


def _require_release(data: Path) -> None:
    made_by = (data / "PG_VERSION").read_text("utf-8").strip()
    if made_by != str(RELEASE):
        raise StackError(
            f"{data} was made by PostgreSQL {made_by}; this is PostgreSQL {RELEASE}, which cannot "
            "read it. Take a backup with the release of Medloop that made it, and restore it with "
            "this one (medloop backup, medloop restore-backup)."
        )


def _run(name: str, *arguments: str, said: str = "") -> None:
    ended = subprocess.run(
        [*_as_server_user(), program(name), *arguments],
        input=said,
        env=inherited_environment(),
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    if ended.returncode:
        raise StackError(f"PostgreSQL's {name} failed:\n{ended.stderr.strip()}")


def _obstacle(settings: Settings) -> str | None:
    ended = subprocess.run(
        [program("pg_isready"), "-h", host(settings), "-t", "3"],
        env=inherited_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.stdout.strip() if ended.returncode else None
