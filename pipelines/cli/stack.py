"""Commands of the native stack."""

import json
from typing import Annotated

import typer

from pipelines.cli.console import console, table
from pipelines.settings import get_settings

app = typer.Typer(
    no_args_is_help=True,
    help="PostgreSQL, HDFS, MLflow, Airflow and the service, as native processes.",
)


@app.command()
def up() -> None:
    """Start what does not run yet, each part once those it needs are ready."""
    import stack

    stack.up(get_settings())


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
def status(as_json: bool = typer.Option(False, "--json", help="For programs.")) -> None:
    """What runs, on which port, and whether it is ready."""
    import stack

    parts = stack.status(get_settings())
    if as_json:
        fields = ("name", "state", "pid", "port", "url", "detail")
        console.print_json(json.dumps([{f: getattr(p, f) for f in fields} for p in parts]))
        return
    rows = table("Stack", "part", "state", "pid", "address", "")
    for part in parts:
        rows.add_row(part.name, part.state, str(part.pid or ""), part.url or "", part.detail or "")
    console.print(rows)
