"""A database's tables are of the release that made them; a later release brings them up to date.

The database itself remembers which release that was.
"""

import subprocess
from collections.abc import Sequence

from pipelines import database
from pipelines.errors import StackError
from pipelines.settings import Settings
from stack.environment import inherited_environment, stack_environment
from stack.part import Say


def bring_up_to_date(
    settings: Settings,
    name: str,
    *,
    release: str,
    migration: Sequence[str],
    environment: dict[str, str],
    say: Say,
) -> None:
    """Migrate a database, unless this release did so before.

    Args:
        settings: the installation; PostgreSQL must answer.
        name: the database.
        release: what uses it now, as ``mlflow 3.17.2``.
        migration: the command that makes its tables, or changes older ones.
        environment: what the command finds besides what all of the stack does.
        say: shows what is being done.

    Raises:
        StackError: a newer release made its tables, or the command fails.
    """
    made_by = database.release(settings, name)
    if made_by == release:
        return
    if made_by and _number(made_by) > _number(release):
        raise StackError(
            f"The database {name!r} was brought up to date by {made_by}; this is {release}, which "
            "cannot read it. Install that release again with its libraries, or restore "
            "a backup that was taken before it (medloop restore-backup)."
        )
    say(f"bringing the database {name} up to date")
    ended = subprocess.run(
        list(migration),
        env=inherited_environment() | stack_environment(settings) | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        said = "\n".join((ended.stdout + ended.stderr).splitlines()[-10:])
        raise StackError(f"The database {name!r} could not be brought up to date:\n{said}")
    database.note_release(settings, name, release)


def _number(release: str) -> tuple[int, ...]:
    """``mlflow 3.17.2`` → (3, 17, 2)."""
    return tuple(int(part) for part in release.split()[-1].split(".") if part.isdecimal())
