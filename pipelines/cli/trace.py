"""``medloop trace``: where an answer came from."""

from collections.abc import Iterator
from typing import Annotated

import typer

from pipelines.audit.entries import AnsweredEntry, JobEntry, RefusedEntry, UploadedEntry
from pipelines.audit.trace import Origin, Trace
from pipelines.audit.trace import trace as follow_back
from pipelines.cli.console import console, errors
from pipelines.stage import default_context

app = typer.Typer()
Line = tuple[str, object]


@app.command()
def trace(
    request_id: Annotated[str, typer.Argument(help="The request_id of an answer.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print it for a program.")] = False,
) -> None:
    """Lead from an answer back to its model, MLflow run, training data, split and commit."""
    found = follow_back(default_context(), request_id)
    if as_json:
        print(found.model_dump_json(by_alias=True, indent=2))
        return
    for job in found.jobs:
        _show(f"Job: {job.event}", _of_job(job))
    for answer in found.answers:
        _show(f"Answered: {answer.class_name}", _of_answer(answer))
    for refusal in found.refusals:
        _show(f"Refused: {refusal.code}", _of_refusal(refusal))
    for upload in found.uploads:
        _show(f"Sent for landing: {upload.status}", _of_upload(upload))
    if found.origin:
        _show(f"The model: {found.origin.candidate}", _of_origin(found.origin))
        _show("Learnt from", _of_data(found, found.origin))
    for gap in found.gaps:
        errors.print("[yellow]not found out:[/yellow]", gap, soft_wrap=True)


def _show(title: str, lines: Iterator[Line]) -> None:
    console.print(f"[bold]{title}[/bold]")
    for name, value in lines:
        console.print(f"  {name:<12}{value}", soft_wrap=True)


def _of_answer(answer: AnsweredEntry) -> Iterator[Line]:
    yield "confidence", f"{answer.confidence:.4f}" + (", abstained" if answer.abstained else "")
    yield "when", f"{answer.time:%Y-%m-%d %H:%M:%S} UTC, in {answer.milliseconds:.1f} ms"
    yield "asked by", f"{answer.token or 'no token'} at {answer.address}, {answer.path}"
    yield "image", f"sha256 {answer.sha256}"
    yield "model", f"{answer.dataset} version {answer.model_version or 'unregistered'}"
    yield "MLflow run", answer.run_id
    yield "bundle", answer.bundle


def _of_job(job: JobEntry) -> Iterator[Line]:
    yield "when", f"{job.time:%Y-%m-%d %H:%M:%S} UTC"
    yield "asked by", f"{job.token or 'no token'} at {job.address}, {job.path}"
    yield "image", f"sha256 {job.sha256}"


def _of_upload(upload: UploadedEntry) -> Iterator[Line]:
    yield "when", f"{upload.time:%Y-%m-%d %H:%M:%S} UTC"
    yield "asked by", f"{upload.token or 'no token'} at {upload.address}, {upload.path}"
    yield "image", f"sha256 {upload.sha256}" if upload.sha256 else f"not opened: {upload.code}"
    yield "data set", f"{upload.dataset}, {upload.folder}"


def _of_refusal(refusal: RefusedEntry) -> Iterator[Line]:
    yield "when", f"{refusal.time:%Y-%m-%d %H:%M:%S} UTC, with status {refusal.status}"
    yield "asked by", f"{refusal.token or 'no token'} at {refusal.address}, {refusal.path}"


def _of_origin(origin: Origin) -> Iterator[Line]:
    yield "built", origin.created_at
    yield "commit", origin.git_commit
    yield "test set", ", ".join(f"{n} {v:.4f}" for n, v in sorted(origin.metrics.items()))


def _of_data(found: Trace, origin: Origin) -> Iterator[Line]:
    snapshot, split = found.snapshot or {}, found.split or {}
    yield "snapshot", origin.snapshot + _count(snapshot.get("images"), "images")
    yield "split", origin.split + _count(split.get("leaks"), "leaks taken out of training")
    yield "training set", origin.prepared


def _count(number: object, of: str) -> str:
    return f" ({number:,} {of})" if isinstance(number, int) else ""
