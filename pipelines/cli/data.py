"""Commands of the data stages: from a landing folder to prepared images, and back."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipelines import loop
from pipelines.cli.console import Dataset, console, done, table
from pipelines.outputs import SPLITS, CheckReport, Gate, Prepared, Snapshot, Split

app = typer.Typer()


@app.command()
def phantom(
    folder: Annotated[Path, typer.Argument(help="Where to write the images.")],
    images: Annotated[int, typer.Option(min=30, help="How many to draw.")] = 800,
    seed: Annotated[int, typer.Option(help="The same seed draws the same bytes.")] = 7,
) -> None:
    """Draw synthetic head phantoms with lesion masks, and a few faulty files on purpose."""
    from pipelines.phantom import generate

    report = generate(folder, seed=seed, images=images)
    done(f"Drew {folder}: {report}")


@app.command()
def ingest(
    dataset: Dataset,
    landing: Annotated[
        str | None,
        typer.Argument(
            help="Folder of new images, local, hdfs:///… or s3://…; the data set's own if left out."
        ),
    ] = None,
) -> None:
    """Open, judge, check and pack a landing folder into an immutable snapshot.

    The same folder again makes no new snapshot; new files make one that adds only them. Files
    that cannot be used go into quarantine, each with its reason.
    """
    landed = loop.land(dataset, loop.landing_folder(dataset, landing))
    refused = ", ".join(f"{n} {reason}" for reason, n in sorted(landed.quarantined.items()))
    done(
        f"{landed.accepted:,} of {landed.files:,} files accepted; quarantined: {refused or 'none'}"
    )
    if landed.copies:
        done(f"{landed.copies:,} files are copies of accepted ones and are left out")
    _say(loop.check_landing(dataset, landed))
    snapshot = loop.ingest(dataset, landed)
    done(f"Snapshot {snapshot.id}: {snapshot.images:,} images, {snapshot.added:,} of them new")


@app.command()
def quarantine(dataset: Dataset) -> None:
    """Print the files that cannot be used, each with its reason, as CSV.

    ``copied`` says whether `medloop restore` gets the file back; all others stay where they landed.
    """
    loop.quarantine(dataset, sys.stdout)


@app.command()
def locate(
    dataset: Dataset,
    source_path: Annotated[
        str, typer.Argument(help="A path as `medloop quarantine`, a log or a report shows it.")
    ],
    landing: Annotated[
        str | None, typer.Argument(help="The landing folder; the data set's own if left out.")
    ] = None,
) -> None:
    """Find the landed file whose name was replaced by a pseudonym.

    The answer may be a patient's name: it is printed here and stored nowhere.
    """
    typer.echo(loop.locate(dataset, loop.landing_folder(dataset, landing), source_path))


@app.command()
def ingest_external(
    dataset: Dataset,
    name: Annotated[str, typer.Argument(help="One of the spec's `external` collections.")],
    landing: Annotated[
        str, typer.Argument(help="Folder of its images, local, hdfs:///… or s3://…")
    ],
) -> None:
    """Pack images from elsewhere to judge models by; nothing is ever trained on them."""
    snapshot = loop.ingest_external(dataset, name, landing)
    done(
        f"{snapshot.dataset}, snapshot {snapshot.id}: {snapshot.images:,} images, "
        f"{snapshot.added:,} of them new; the next evaluation of {dataset} reports on them"
    )


@app.command()
def check(
    dataset: Dataset,
    gate: Annotated[str, typer.Argument(help="`snapshot`, `prepared` or `all`.")] = "all",
) -> None:
    """Hold the newest snapshot and its training set against their Great Expectations suites.

    The landing suite runs with `medloop ingest`, before anything enters.
    """
    if gate not in ("snapshot", "prepared", "all"):
        raise typer.BadParameter("expected snapshot, prepared or all", param_hint="gate")
    snapshot = loop.latest_snapshot(dataset)
    split = loop.split(dataset, snapshot)
    if gate in ("snapshot", "all"):
        _say(loop.check_snapshot(dataset, snapshot, split))
    if gate in ("prepared", "all"):
        _say(loop.check_prepared(dataset, loop.prepare(dataset, snapshot, split)))


@app.command()
def split(dataset: Dataset) -> None:
    """Find duplicates and leaks, and divide the newest snapshot without any."""
    _show_split(loop.split(dataset, loop.latest_snapshot(dataset)))
    done(f"Report: {loop.leak_report(dataset)}")


@app.command()
def prepare(dataset: Dataset) -> None:
    """Prepare the images of the newest snapshot, with Spark."""
    ready = prepared(dataset)
    rows = ", ".join(f"{ready.rows[name]:,} {name}" for name in SPLITS)
    done(f"Training set {ready.id}: {rows}")


@app.command()
def profile(dataset: Dataset) -> None:
    """Draw what the newest snapshot's prepared images look like, class by class, with Spark.

    Mean, variability and difference images, shades, texture, a map of deep features, and the
    held-out images that training images are most like. The retraining DAG does the same, and
    logs it to MLflow.
    """
    done(f"Profile: {loop.profile_page(dataset)}")


@app.command()
def restore(
    dataset: Dataset,
    what: Annotated[str, typer.Argument(help="An image's source path or sha256.")],
    to: Annotated[Path, typer.Option(help="Folder to write it into.")] = Path("restored"),
) -> None:
    """Get an original back from the store, identical to the last byte."""
    from pipelines.data.restore import restore as get_back
    from pipelines.stage import default_context

    for path in get_back(default_context(), dataset, what=what, target=to):
        done(f"{path}")


def prepared(dataset: str) -> Prepared:
    """The newest snapshot's training set; made, with its split, if it does not exist yet."""
    snapshot: Snapshot = loop.latest_snapshot(dataset)
    return loop.prepare(dataset, snapshot, loop.split(dataset, snapshot))


def _say(report: CheckReport) -> None:
    gate: Gate = report.gate
    met = report.expectations - len(report.warnings)
    done(f"{gate} suite: {met} of {report.expectations} expectations met ({report.data_docs})")
    for warning in report.warnings:
        console.print(f"  [yellow]![/yellow] {warning}")


def _show_split(division: Split) -> None:
    counts = table(f"Split {division.id}", "split", *division.counts["train"])
    for name in SPLITS:
        counts.add_row(name, *(f"{n:,}" for n in division.counts[name].values()))
    console.print(counts)
    done(
        f"{division.exact_duplicates:,} exact and {division.near_duplicates:,} near duplicates; "
        f"{division.leaks:,} images kept out of training because the test set shows them"
    )
