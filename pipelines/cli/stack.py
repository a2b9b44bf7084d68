"""Commands of the native stack."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.atomic import written_whole
from pipelines.cli.console import console, done, errors, table
from pipelines.settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stack import PartStatus, Room

app = typer.Typer(
    no_args_is_help=True,
    help="PostgreSQL, HDFS, MLflow, Airflow and the service, as native processes.",
)


@app.command()
def up() -> None:
    """Start what does not run yet, each part once those it needs are ready.

    Passwords that are made for a part's first login are kept in private files; this names them.
    """
    start()


def start() -> None:
    """Bring the stack up, and name the files of the logins that this has made.

    The passwords themselves are not printed: a terminal's history and the logs of CI keep them.
    In containers there is nothing to start.
    """
    import stack

    settings = get_settings()
    if settings.database_host is not None:
        return
    known = stack.logins(settings)
    stack.up(settings)
    for login in stack.logins(settings):
        if login not in known:
            console.print(
                f"{login.part} at {login.url}: user {login.user}, password in {login.file}",
                soft_wrap=True,
                markup=False,
            )


@app.command()
def down() -> None:
    """Stop every part, in order; nothing is lost."""
    import stack

    stack.down(get_settings())


@app.command()
def restart(part: Annotated[str, typer.Argument(help="A part, as status names it.")]) -> None:
    """Stop one part and start it again."""
    import stack

    stack.restart(get_settings(), part)


@app.command()
def install_service(
    system: Annotated[
        bool, typer.Option("--system", help="A unit of the system's manager, not the user's.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the unit, write nothing.")
    ] = False,
) -> None:
    """Write a systemd unit that runs the stack from the machine's start on, as this user.

    systemd also starts it again after its supervisor has died. Prints the commands that are left
    to type, some of them as root.
    """
    import getpass

    import stack

    service = stack.service(get_settings(), "system" if system else "user", user=getpass.getuser())
    if dry_run:
        console.print(f"# {service.file}\n{service.unit}", markup=False, soft_wrap=True)
    else:
        service.file.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(service.file) as part:
            part.write_text(service.unit, "utf-8")
        done(f"Wrote {service.file}")
    console.print("Then, once (a stack that runs already is stopped first: medloop stack down):")
    for command in service.commands:
        console.print(f"  {command}", markup=False, soft_wrap=True)


@app.command()
def status(as_json: bool = typer.Option(False, "--json", help="For programs.")) -> None:
    """What runs, since when, in how much memory, and how much disk is left.

    Ends with exit status 1 unless every part is ready.
    """
    import stack

    parts, rooms = stack.status(get_settings()), stack.rooms(get_settings())
    if as_json:
        told = {
            "home": str(get_settings().home),
            "parts": [asdict(part) for part in parts],
            "disks": [asdict(room) for room in rooms],
        }
        console.print_json(json.dumps(told))
    else:
        show(parts, rooms)
    if any(part.state != "ready" for part in parts):
        raise typer.Exit(1)


def show(parts: "Sequence[PartStatus]", rooms: "Iterable[Room]") -> None:
    """Print how the stack stands."""
    rows = table("Stack", "part", "state", "version", "pid", "up", "restarts", "memory", "address")
    for column in rows.columns[:-1]:
        column.no_wrap = True
    for part in parts:
        rows.add_row(
            *(part.name, part.state, part.version, str(part.pid or "")),
            *(_duration(part.up_seconds), str(part.restarts or ""), _megabytes(part.memory)),
            part.detail or part.url or "",
        )
    console.print(rows)
    memory = sum(part.memory or 0 for part in parts)
    if memory:
        console.print(f"Memory of all parts: {_megabytes(memory)}")
    for room in rooms:
        free, total = room.free / 1e9, room.total / 1e9
        console.print(f"Room in {room.name}: {free:.1f} of {total:.1f} GB ({room.free_share:.0%})")


@app.command()
def logs(
    part: Annotated[str | None, typer.Argument(help="A part or a process; all if empty.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines come.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of each.")] = 20,
) -> None:
    """The end of the parts' logs. Airflow's tasks have logs of their own: see the last line."""
    import stack

    settings = get_settings()
    files = stack.log_files(settings, part)
    several = len(files) > 1
    if any(name.startswith("airflow") for name in files):
        errors.print(
            f"Logs of Airflow's tasks: {stack.task_logs(settings)}/dag_id=…", soft_wrap=True
        )
    told = stack.follow(files, lines=lines) if follow else stack.tail(files, lines=lines)
    try:
        for line in told:
            name = f"{line.process:<21} | " if several else ""
            console.print(name + line.text, markup=False, soft_wrap=True)
    except KeyboardInterrupt:
        return


def _duration(seconds: int | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes else f"{rest} s"


def _megabytes(size: int | None) -> str:
    return "" if size is None else f"{size / 1e6:.0f} MB"
