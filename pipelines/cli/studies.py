"""Commands that ask something of a candidate by training it several times."""

from typing import Annotated

import typer

from pipelines import loop
from pipelines.cli.console import Dataset, console, done, table

app = typer.Typer()

Candidate = Annotated[str, typer.Argument(help="A candidate of the data set's spec.")]


@app.command()
def tune(dataset: Dataset, candidate: Candidate) -> None:
    """Search for a candidate's best settings, on validation images only.

    What is searched stands in the spec's block `tune`. Killed, the same command goes on with
    the trial that was under way; `medloop retrain` then trains the candidate with the best.
    """
    from pipelines.studies.tune import ranked, shown

    tuned = loop.tune(dataset, candidate)
    names = list(tuned.settings)
    grid = table(f"{dataset}: {candidate}", "trial", *names, "loss", "accuracy", "epochs", "state")
    for trial in ranked(tuned):
        epochs = "+".join(str(len(execution.losses)) for execution in trial.executions)
        settings = (shown(trial.settings[name]) for name in names)
        grid.add_row(
            str(trial.number), *settings, shown(trial.loss), shown(trial.accuracy), epochs,
            trial.state,
        )  # fmt: skip
    console.print(grid)
    done(f"trial {tuned.best} is followed; pictures are with run {tuned.run_id} in MLflow")
