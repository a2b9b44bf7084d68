"""Commands of monitoring: judge the champion's traffic now, and tell what pictures truly showed."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines import loop
from pipelines.cli.console import Dataset, console, done
from pipelines.outputs import Monitored

app = typer.Typer()


@app.command()
def monitor(dataset: Dataset) -> None:
    """Judge what the champion was asked since the last time; the DAG does so every hour."""
    seen = loop.monitor(dataset)
    done(
        f"Version {seen.version}: {seen.windows} windows of answers and {seen.snapshots} snapshots "
        f"judged; {seen.waiting} answers wait for the next window"
    )
    for line in _told(seen):
        console.print(f"  {line}", soft_wrap=True)


@app.command()
def label(
    dataset: Dataset,
    file: Annotated[
        Path, typer.Argument(help="CSV with the columns label, and request_id or sha256.")
    ],
) -> None:
    """Give the true classes of answers, once they are known; the monitor measures with them."""
    count = loop.label(dataset, file)
    done(f"{count:,} labels kept; `medloop monitor {dataset}` measures with them")


def _told(seen: Monitored) -> list[str]:
    lines = ["[bold red]Drift is confirmed.[/bold red]" if seen.drifting else "No drift confirmed."]
    if seen.drifted:
        lines.append(f"The latest window shows drift of {', '.join(seen.drifted)}.")
    if seen.estimated_accuracy is not None:
        lines.append(f"Accuracy, estimated without labels: {seen.estimated_accuracy:.3f}")
    if seen.measured_accuracy is not None:
        lines.append(f"Accuracy, measured with labels: {seen.measured_accuracy:.3f}")
    return [*lines, f"Report: {seen.report}"]
