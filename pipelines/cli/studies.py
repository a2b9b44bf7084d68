"""Commands that ask something of a candidate by training it several times."""

from typing import TYPE_CHECKING, Annotated

import typer

from pipelines import loop
from pipelines.cli.console import Dataset, console, done, table

if TYPE_CHECKING:
    from pipelines.studies.cross_validation import CrossValidation
    from pipelines.studies.learning_curve import LearningCurve
    from pipelines.studies.tune import Tuned

app = typer.Typer()

Candidate = Annotated[str, typer.Argument(help="A candidate of the data set's spec.")]


@app.command()
def tune(dataset: Dataset, candidate: Candidate) -> None:
    """Search for a candidate's best settings, on validation images only.

    What is searched stands in the spec's block `tune`. Killed, the same command goes on with
    the trial that was under way; `medloop retrain` then trains the candidate with the best.
    """
    show_search(dataset, loop.tune(dataset, candidate))


def show_search(dataset: str, tuned: "Tuned") -> None:
    """Print the trials of a search, the best first."""
    from pipelines.studies.tune import ranked, shown

    names = list(tuned.settings)
    title = f"{dataset}: {tuned.candidate}, {tuned.search} search"
    grid = table(title, "trial", *names, "loss", "accuracy", "epochs", "state")
    for trial in ranked(tuned):
        epochs = "+".join(str(len(execution.losses)) for execution in trial.executions)
        settings = (shown(trial.settings[name]) for name in names)
        grid.add_row(
            str(trial.number), *settings, shown(trial.loss), shown(trial.accuracy), epochs,
            trial.state,
        )  # fmt: skip
    console.print(grid)
    done(f"trial {tuned.best} is followed; pictures are with run {tuned.run_id} in MLflow")


@app.command()
def learning_curve(
    dataset: Dataset,
    candidate: Candidate,
    repeats: Annotated[
        int, typer.Option(min=1, help="Trainings of each size; fewer than 5 show no rise.")
    ] = 5,
) -> None:
    """Would more images help? Train a candidate on ever more of the training images.

    All are judged on the validation images; the test set is not asked.
    """
    show_curve(dataset, loop.learning_curve(dataset, candidate, repeats=repeats))


def show_curve(dataset: str, curve: "LearningCurve") -> None:
    """Print a learning curve, and what it says."""
    from pipelines.studies.learning_curve import between

    title = f"{dataset}: {curve.candidate}, {curve.figure} on validation"
    grid = table(title, "groups", "images", "value", "95 % interval", "trainings")
    for size in curve.sizes:
        grid.add_row(
            f"{size.share:.0%}", f"{size.images:,}", f"{size.value:.3f}",
            between(size.interval), str(len(size.trained)),
        )  # fmt: skip
    console.print(grid)
    done(f"{curve.said} The picture is with run {curve.run_id} in MLflow.")


@app.command()
def cross_validate(
    dataset: Dataset,
    candidate: Candidate,
    folds: Annotated[int, typer.Option(min=2, help="Parts that are held out in turn.")] = 5,
    repeats: Annotated[int, typer.Option(min=1, help="How often, divided anew.")] = 2,
) -> None:
    """How much do a candidate's figures depend on which images were held out?

    Divides the training and validation images by group; the test set stays out.
    """
    show_folds(dataset, loop.cross_validate(dataset, candidate, folds=folds, repeats=repeats))


def show_folds(dataset: str, found: "CrossValidation") -> None:
    """Print the mean figures of all folds."""
    from pipelines.evaluation.metrics import OVERALL

    grid = table(
        f"{dataset}: {found.candidate}", "figure", "mean", "95 % interval", "least", "most"
    )
    for name in OVERALL:
        values = [one.figures[name] for one in found.trained]
        grid.add_row(
            name, f"{found.means[name]:.3f}", _between(found.intervals[name]),
            f"{min(values):.3f}", f"{max(values):.3f}",
        )  # fmt: skip
    console.print(grid)
    done(f"{found.repeats} x {found.folds} folds; the picture is with run {found.run_id} in MLflow")


@app.command()
def segment(dataset: Dataset) -> None:
    """Train a network to find lesions, on the masks that came with the images.

    Killed, the same command goes on with the epoch that was under way.
    """
    found = loop.segment(dataset)
    grid = table(f"{dataset}: U-Net on {found.images} test images", "figure", "mean", "95 %")
    for name, value in found.figures.items():
        grid.add_row(name, f"{value:.3f}", _between(found.intervals[name]))
    console.print(grid)
    done(f"{found.epochs} epochs; the pictures are with run {found.run_id} in MLflow")


def _between(interval: tuple[float, float]) -> str:
    return f"{interval[0]:.3f} to {interval[1]:.3f}"
