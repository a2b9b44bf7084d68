"""Commands that show what is known of a version: its model card, its evaluation report."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.console import Dataset, console, done

app = typer.Typer()

Version = Annotated[
    int | None, typer.Argument(help="A version, as MLflow numbers it; the champion if left out.")
]


@app.command()
def card(dataset: Dataset, version: Version = None) -> None:
    """Print the model card of a version: for whom, how good, and what is not known."""
    from pipelines.release.card.publish import read
    from pipelines.stage import default_context

    console.print(read(default_context(), dataset, version), markup=False, soft_wrap=True)


@app.command()
def report(
    dataset: Dataset,
    version: Version = None,
    to: Annotated[Path, typer.Option(help="Folder to write it into.")] = Path("reports"),
) -> None:
    """Fetch the evaluation report and the model card of a version as HTML pages."""
    from pipelines.release.card.publish import fetch_pages
    from pipelines.stage import default_context

    for page in fetch_pages(default_context(), dataset, version, target=to):
        done(f"{page}")
