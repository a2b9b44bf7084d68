"""What the commands print with: one console, one look for tables, choices and errors."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipelines.errors import MedloopError
from pipelines.spec import spec_names

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


def fail(error: MedloopError) -> None:
    """Print an error of ours."""
    errors.print(Text("✗ ", style="bold red"), Text(str(error)), sep="", soft_wrap=True)


def done(text: str) -> None:
    """Print one finished step."""
    console.print(f"[green]✓[/green] {text}", soft_wrap=True)


def table(title: str, *columns: str) -> Table:
    """An empty table in the house's look."""
    grid = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        grid.add_column(column, overflow="fold")
    return grid


def _names(incomplete: str) -> list[str]:
    return [name for name in spec_names() if name.startswith(incomplete)]


Dataset = Annotated[
    str, typer.Argument(help="A data set: a file in datasets/.", autocompletion=_names)
]
