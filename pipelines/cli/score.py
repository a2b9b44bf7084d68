"""The command of batch scoring."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from pipelines import loop
from pipelines.cli.console import Dataset, console, done, table
from pipelines.outputs import Scores
from pipelines.spec import load_spec
from pipelines.stage import default_context

SNAPSHOT = re.compile(r"[0-9]{4,}-[0-9a-f]{16}")

app = typer.Typer()


@app.command()
def score(
    dataset: Dataset,
    what: Annotated[
        str | None,
        typer.Argument(
            help="A folder of images (local, `hdfs:///…` or `s3://…`), or a snapshot; the newest "
            "snapshot if left out."
        ),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Write the answers as CSV, too.", dir_okay=False)
    ] = None,
    overlays: Annotated[
        Path | None,
        typer.Option(
            help="Draw where the model looked; write a PNG an image here.", file_okay=False
        ),
    ] = None,
) -> None:
    """Let the champion answer for many images at once, with Spark; what is done stays done.

    The images need no class folders. A file that cannot be read is a row with the reason.
    """
    from pipelines.scoring import export

    context = default_context()
    is_snapshot = what is not None and SNAPSHOT.fullmatch(what) and not Path(what).exists()
    snapshot, source = (what, None) if is_snapshot else (None, what)
    scores = loop.score(dataset, snapshot, source, overlays=overlays is not None)
    _show(scores)
    if csv:
        names = export.names_of_files(load_spec(dataset), context, scores)
        export.write_csv(context, scores, csv, files=names)
        done(f"CSV: {csv}")
    if overlays:
        written = export.write_overlays(context, scores, overlays)
        done(f"Overlays: {written:,} pictures below {overlays}")


def _show(scores: Scores) -> None:
    counts = table("", "class", "images", "share")
    for name, images in scores.predicted.items():
        counts.add_row(name, f"{images:,}", f"{images / scores.images:.1%}")
    for reason, images in scores.unreadable.items():
        counts.add_row(f"[yellow]unreadable: {reason}[/yellow]", f"{images:,}", "")
    console.print(counts)
    for line in _told(scores):
        done(line)


def _told(scores: Scores) -> Iterator[str]:
    read = scores.images - sum(scores.unreadable.values())
    yield (
        f"Version {scores.version} answered for {read:,} of {scores.images:,} files; "
        f"{scores.abstained:,} answers ({scores.abstained / max(read, 1):.1%}) should not be "
        f"relied on, {scores.review:,} should be seen by a person first"
    )
    yield (
        f"Scores {scores.id}: {scores.path} in the store; made in {scores.seconds:,.0f} s "
        f"({scores.images / max(scores.seconds, 0.1):,.0f} images/s, Spark's start included)"
    )
