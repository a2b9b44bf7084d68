"""Commands of training and release: candidates, their figures, the champion."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines import loop
from pipelines.cli.console import Dataset, console, done, fail, table
from pipelines.cli.data import prepared
from pipelines.errors import CandidateSkipped, MedloopError
from pipelines.outputs import Evaluated, Prepared, Trained, Verdict

app = typer.Typer()

Candidates = Annotated[
    list[str] | None, typer.Argument(help="Candidates of the spec; all if none is named.")
]
Version = Annotated[
    int | None, typer.Argument(help="A version of the registered model, as MLflow numbers it.")
]

Force = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Also if another version serves than it was judged against, or it was rolled back.",
    ),
]
Expect = Annotated[
    int | None,
    typer.Option(help="The version that serves now; nothing changes if another one does."),
]


@app.command()
def train(dataset: Dataset, candidates: Candidates = None) -> None:
    """Train candidates, each as a run in MLflow; a killed training resumes."""
    images = prepared(dataset)
    for run in _trained(dataset, images, candidates):
        done(f"{run.candidate}: {run.epochs} epochs, {run.seconds:,.0f} s (run {run.run_id})")


@app.command()
def evaluate(dataset: Dataset, candidates: Candidates = None) -> None:
    """Measure candidates on the validation and the leak-free test split."""
    _show_figures(_evaluated(dataset, candidates))


@app.command()
def select(dataset: Dataset, candidates: Candidates = None) -> None:
    """Register the best candidate (on validation) as challenger, and judge it by the gate."""
    images = prepared(dataset)
    challenger = loop.select(dataset, images, _evaluated(dataset, candidates))
    done(f"Version {challenger.version} ({challenger.candidate}) is the challenger")
    show_verdict(loop.gate(dataset, images, challenger))


@app.command()
def promote(dataset: Dataset, version: Version = None, force: Force = False) -> None:
    """Make a version (the challenger if none is named) the champion; the service follows."""
    release = loop.promote_by_hand(dataset, version, force=force)
    done(f"Version {release.champion} serves {dataset}; before: {release.previous or 'none'}")


@app.command()
def rollback(dataset: Dataset, version: Version = None, expect: Expect = None) -> None:
    """Make the previous champion (or a named version) the champion again."""
    release = loop.rollback(dataset, version, expect=expect)
    done(f"Version {release.champion} serves {dataset} again; before: {release.previous}")


@app.command(name="check-promotions")
def check_promotions() -> None:
    """Compare what was promoted lately with the version before, and roll back what is worse.

    The watch does so by itself (docs/after-promotion.md).
    """
    from pipelines.release.promotions import watched
    from pipelines.settings import get_settings

    failures: list[MedloopError] = []
    for promotion in watched(get_settings()):
        try:
            found = loop.check_promotion(promotion.dataset)
        except MedloopError as error:  # the other data sets are checked
            failures.append(error)
            continue
        if found is not None:
            state = found.outcome or "watched, not worse so far"
            done(f"{found.dataset} version {found.version}: {state}")
    for failure in failures:
        fail(failure)
    if failures:
        raise typer.Exit(1)


@app.command()
def gradcam(
    dataset: Dataset,
    image: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A picture.")],
    target: Annotated[str | None, typer.Option(help="Class to explain; the predicted one.")] = None,
    output: Annotated[Path, typer.Option(help="PNG to write.")] = Path("gradcam.png"),
) -> None:
    """Ask the service what the champion sees in an image, and save where it looks."""
    from pipelines.service_client import ServiceClient
    from pipelines.settings import get_settings

    service = ServiceClient(get_settings())
    answer = service.predict(image, dataset=dataset)
    output.write_bytes(service.gradcam(image, dataset=dataset, target=target))
    show_answer(answer)
    done(f"Grad-CAM: {output}")


def show_answer(answer: dict[str, Any]) -> None:
    """Print a prediction, with what it says of itself."""
    probabilities = answer["probabilities"]
    done(
        f"{answer['dataset']} version {answer['model_version']} says "
        f"[bold]{answer['class']}[/bold], confidence {answer['confidence']:.3f}"
    )
    for name, value in sorted(probabilities.items(), key=lambda pair: -pair[1]):
        console.print(f"    {name:<20} {'█' * round(30 * value):<30} {value:.3f}")
    doubts = answer["abstained_because"]
    others = [reason for reason in answer["review"]["reasons"] if reason not in doubts]
    _show_reasons("[yellow]Not to be relied on[/yellow]", doubts)
    _show_reasons("A person should see it first", others)


def _show_reasons(what: str, reasons: list[dict[str, str]]) -> None:
    if not reasons:
        return
    console.print(f"    {what}:")
    for reason in reasons:
        console.print(f"      - {reason['message']}", soft_wrap=True)


def show_verdict(verdict: Verdict) -> None:
    """Print every rule of a gate with its number and interval, and what broken ones mean."""
    title = f"Gate on version {verdict.version}, with 95 % intervals"
    rules = table(title, "", "rule", "value", "limit")
    for rule in verdict.rules:
        sign = "[green]✓[/green]" if rule.passed else "[red]✗[/red]"
        rules.add_row(sign, rule.rule, rule.told, f"{rule.limit:.4f}")
    console.print(rules)
    for note in verdict.notes:
        console.print(f"  {note}", soft_wrap=True, markup=False)
    if verdict.passed:
        return
    console.print("[bold yellow]REFUSED[/bold yellow]: the champion stays.")
    for reason in verdict.refusals:
        console.print(f"  - {reason}", soft_wrap=True, markup=False)


def _evaluated(dataset: str, names: list[str] | None) -> list[Evaluated]:
    images = prepared(dataset)
    trained = list(_trained(dataset, images, names))
    return [loop.evaluate(dataset, images, run) for run in trained]


def _trained(dataset: str, images: Prepared, names: list[str] | None) -> Iterator[Trained]:
    """Train candidates one after another; those that this machine cannot train are told of."""
    for name in loop.candidates(dataset, names):
        try:
            yield loop.train(dataset, images, name)
        except CandidateSkipped as skipped:
            console.print(f"[yellow]SKIPPED[/yellow]: {skipped}", soft_wrap=True)


def _show_figures(results: list[Evaluated]) -> None:
    metrics = list(results[0].test) if results else []
    figures = table("Leak-free test set", "candidate", *metrics)
    for result in results:
        figures.add_row(result.candidate, *(f"{result.test[m]:.4f}" for m in metrics))
    console.print(figures)
