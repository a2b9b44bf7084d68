"""``medloop erase``: remove images from everything that Medloop keeps."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines import loop
from pipelines.cli.console import Dataset, console, done, table

if TYPE_CHECKING:
    from pipelines.erasure.erase import Asked, Plan
    from pipelines.erasure.journal import Kind

app = typer.Typer()
NAMED = "--patient, --image and --file"


@app.command()
def erase(
    dataset: Dataset,
    patient: Annotated[
        str | None, typer.Option(help="ID of a patient or lesion, as it landed.")
    ] = None,
    image: Annotated[str | None, typer.Option(help="sha256 of an image.")] = None,
    file: Annotated[
        str | None,
        typer.Option(help="A file here, or a path in the landing folder or in a report."),
    ] = None,
    reason: Annotated[
        str | None, typer.Option(help="Why, for certificate and audit log; without names.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before removing.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go.")] = False,
    leave_landed: Annotated[
        bool,
        typer.Option("--leave-landed", help="Also while the files are in a landing folder."),
    ] = False,
    skip_mlflow: Annotated[
        bool, typer.Option("--skip-mlflow", help="Do not look into MLflow; erase there later.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Finish an erasure that was cut short.")
    ] = False,
) -> None:
    """Remove images from all that Medloop keeps, for good, and certify it.

    Landings, originals, prepared images, features, reports, scores, caches, logs: docs/erasure.md
    lists what goes and what stays. Models keep what they have learned until they are trained again.
    """
    asked = None if resume else _asked(patient, image, file, reason)
    with console.status("Looking for the images …"):
        plan = loop.plan_erasure(dataset, asked, mlflow=not skip_mlflow)
    _show(plan)
    if dry_run:
        console.print("Nothing was removed.")
        return
    if not yes:
        typer.confirm(f"Remove {plan.images:,} images of {dataset} for good?", abort=True)
    with console.status("Removing …"):
        certificate, page = loop.erase(
            dataset, asked, leave_landed=leave_landed, mlflow=not skip_mlflow
        )
    done(f"{certificate.images:,} images erased; certificate: {page}")
    remains = table("What remains", "what", "why")
    for one in certificate.remaining:
        remains.add_row(one.what, one.why)
    console.print(remains)
    if certificate.retrain:
        console.print(f"  A model that has not seen them: {certificate.retrain}", soft_wrap=True)


def _asked(patient: str | None, image: str | None, file: str | None, reason: str | None) -> "Asked":
    from pipelines.erasure.erase import Asked

    named: dict[Kind, str | None] = {"patient": patient, "image": image, "file": file}
    given = [Asked(kind, value, reason or "") for kind, value in named.items() if value is not None]
    if len(given) != 1:
        raise typer.BadParameter(f"name the images by one of {NAMED} (or --resume)")
    if not (reason or "").strip():
        raise typer.BadParameter("--reason is missing: the certificate and the audit log say why")
    return given[0]


def _show(plan: "Plan") -> None:
    counts: Counter[tuple[str, str]] = Counter()
    places: Counter[tuple[str, str]] = Counter()
    for piece in plan.pieces:
        counts[piece.what, piece.how] += piece.count
        places[piece.what, piece.how] += 1
    rows = table(f"Images: {plan.images:,}", "what", "how", "number", "places")
    for (what, how), count in sorted(counts.items()):
        rows.add_row(what, how, f"{count:,}", f"{places[what, how]:,}")
    console.print(rows)
    if plan.landed:
        console.print(
            f"{len(plan.landed):,} of the files are still in a landing folder, such as "
            f"{plan.landed[0]}",
            soft_wrap=True,
        )
