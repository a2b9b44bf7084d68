"""From an answer's request id back to the model, and from the model to what it learnt from.

The audit log names the model's run and the digest of its bundle; the bundle, kept by every
service that served it, names snapshot, split, training set and commit. MLflow is asked only where
no bundle is kept here, the store only for the manifests: either may be away.
"""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from pipelines.audit.entries import (
    AnsweredEntry,
    JobEntry,
    RefusedEntry,
    UploadedEntry,
    audit_folder,
    find_answers,
    find_jobs,
    find_refusals,
    find_uploads,
)
from pipelines.errors import MedloopError, NotFound
from pipelines.release.bundle import MANIFEST
from pipelines.stage import MANIFEST as STORE_MANIFEST
from pipelines.stage import Context


class Origin(BaseModel):
    """Where a model came from, as its bundle says; read of bundles of any format."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())

    dataset: str
    candidate: str
    run_id: str
    snapshot: str
    split: str
    prepared: str
    git_commit: str
    created_at: str
    metrics: dict[str, float]
    digest: str
    former_digests: tuple[str, ...] = ()
    """From before an erasure replaced canary images."""


class Trace(BaseModel):
    """All that is known of one request."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    request_id: str
    answers: list[AnsweredEntry]
    """One for each image, in order."""
    refusals: list[RefusedEntry]
    uploads: list[UploadedEntry]
    """One for each file that was sent for a landing folder."""
    jobs: list[JobEntry]
    """When a job of this ID was submitted and deleted."""
    origin: Origin | None
    """Of the model that answered; null if nothing was answered, or no bundle can be had."""
    snapshot: dict[str, Any] | None
    """What the manifest of the training data's snapshot says of it."""
    split: dict[str, Any] | None
    """The same of the split."""
    gaps: list[str]
    """What could not be found out, and why."""


def trace(context: Context, request_id: str) -> Trace:
    """Follow a request back.

    Raises:
        NotFound: the audit log has no line of it.
    """
    folder = audit_folder(context.settings)
    answers, refusals = find_answers(folder, request_id), find_refusals(folder, request_id)
    uploads, jobs = find_uploads(folder, request_id), find_jobs(folder, request_id)
    if not answers and not refusals and not uploads and not jobs:
        raise NotFound(
            f"The audit log in {folder} has no request {request_id!r}: another installation "
            "answered it, or its lines are older than those kept (MEDLOOP_AUDIT_FILES)."
        )
    gaps: list[str] = []
    origin = _origin(context, answers[0], gaps) if answers else None
    return Trace(
        request_id=request_id,
        answers=answers,
        refusals=refusals,
        uploads=uploads,
        jobs=jobs,
        origin=origin,
        snapshot=_stored(context, origin.snapshot, gaps) if origin else None,
        split=_stored(context, origin.split, gaps) if origin else None,
        gaps=gaps,
    )


def _origin(context: Context, answer: AnsweredEntry, gaps: list[str]) -> Origin | None:
    kept = context.settings.bundles / answer.dataset
    for path in sorted(kept.glob(f"*/{MANIFEST}")):
        origin = _read(path)
        if origin is not None and answer.bundle in (origin.digest, *origin.former_digests):
            return origin
    try:
        return _origin_in_mlflow(context, answer)
    except MedloopError as error:
        gaps.append(f"No bundle {answer.bundle[:12]}… is kept in {kept}, and: {error}")
        return None


def _origin_in_mlflow(context: Context, answer: AnsweredEntry) -> Origin:
    from pipelines.release import registry

    if answer.model_version is None:
        raise NotFound("the model was not registered, so MLflow has none either.")
    fetched = _read(registry.fetch(context, answer.dataset, answer.model_version) / MANIFEST)
    if fetched is None or answer.bundle not in (fetched.digest, *fetched.former_digests):
        raise NotFound(
            f"version {answer.model_version} of {answer.dataset} in MLflow is another model than "
            "the one that answered."
        )
    return fetched


def _read(manifest: Path) -> Origin | None:
    try:
        return Origin.model_validate_json(manifest.read_bytes())
    except (OSError, ValidationError):
        return None


def _stored(context: Context, path: str, gaps: list[str]) -> dict[str, Any] | None:
    """The output that the manifest of a folder in the store describes."""
    try:
        output: dict[str, Any] = context.store.read_json(f"{path}/{STORE_MANIFEST}")["output"]
    except (MedloopError, OSError, KeyError, json.JSONDecodeError) as error:
        gaps.append(f"{path}: {error}")
        return None
    return output
