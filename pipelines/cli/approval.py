"""Commands that answer for a version: may it serve?"""

from typing import Annotated

import typer
from rich.markdown import Markdown

from pipelines.cli.console import Dataset, console, done
from pipelines.errors import NotFound
from pipelines.scheduler import Choice, open_scheduler
from pipelines.settings import get_settings

app = typer.Typer()

Note = Annotated[str, typer.Option(help="Why; kept with the version.")]


@app.command()
def approve(dataset: Dataset, note: Note = "") -> None:
    """Let the version that a run asks about be promoted; shows the figures it was asked with."""
    _answer(dataset, "Approve", note)
    done("Approved: the run goes on and promotes it")


@app.command()
def reject(dataset: Dataset, note: Note = "") -> None:
    """Let the version that a run asks about not be promoted; the gate refuses it from now on."""
    _answer(dataset, "Reject", note)
    done("Rejected: the champion stays")


def _answer(dataset: str, choice: Choice, note: str) -> None:
    scheduler = open_scheduler(get_settings())
    asked = scheduler.questions(f"retrain_{dataset}")
    if not asked:
        raise NotFound(f"No run of {dataset} waits for an approval.")
    console.print(f"[bold]{asked[0].subject}[/bold]", Markdown(asked[0].body, hyperlinks=False))
    scheduler.answer(asked[0], choice, note=note)
