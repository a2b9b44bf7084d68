"""Images that are answered later: submitted, asked about, answered, removed.

A job is one image, kept in PostgreSQL (`pipelines.jobs.table`) until it is answered. The process
``queue`` of the stack asks for each answer by ``POST /jobs/{job}/answer``, so a job is answered by
this service's champion, within its limits, and noted as any other request is. A job's ID is the
request ID of its submission, and of its answer: ``medloop trace`` starts from it.
"""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from pipelines import database
from pipelines.access.tokens import Role
from pipelines.errors import BadImage, DatabaseUnavailable
from pipelines.jobs.table import Job, Jobs, NewJob, QueueFull, Status
from pipelines.jobs.webhook import is_allowed
from serving.access.permissions import ONLY_ADMINISTRATORS, PREDICT, GuardedRoute
from serving.context import Principal, Problem, RequestContext, context_of
from serving.image_request import ImageRequest, as_json, backend_of, receive_for_later
from serving.openapi import JOB_REFUSALS, RESULT_REFUSALS, SUBMIT_REFUSALS, form, refusals
from serving.predictions import classify, reason
from serving.refusals import status_of
from serving.schemas import (
    ExplainFields,
    Explanation,
    ImageError,
    PredictFields,
    Prediction,
    Wire,
)
from serving.uploads import Upload

router = APIRouter(route_class=GuardedRoute)

Task = Literal["predict", "explain"]
ROUTE = "/jobs"
"""What the audit log and the metrics call the route of a job's answer."""
MOST_ATTEMPTS = 5
"""How often an answer is begun: an image that ends the process each time is given up."""
POLL_SECONDS = 2
"""After which a client may ask again for a result that is not there yet."""
HOW = (
    "This service takes no jobs. It needs MEDLOOP_QUEUE=true and Medloop's PostgreSQL: start the "
    "stack (medloop stack up), or name a server in MEDLOOP_DATABASE_HOST. /predict answers at once."
)


class JobFields(ExplainFields):
    """Text fields that go with the image of a job; each may also stand in the query."""

    task: Task = "predict"
    """Which answer is wanted: that of `/predict`, or that of `/explain`."""
    urgent: bool = False
    """Whether it is answered before jobs that are not."""
    key: str | None = Field(default=None, min_length=1, max_length=200)
    """A name of your own for the job. Sent again under the same key, it is the same job."""
    notify: str | None = Field(default=None, max_length=1000)
    """A URL that is notified when the job has ended; its origin must be allowed here."""


class JobReply(Wire):
    """How a job stands."""

    id: str
    """Also the `request_id` of its answer."""
    status: Status
    task: Task
    urgent: bool
    sha256: str
    """Of the image."""
    submitted: str
    ended: str | None
    kept_until: str | None
    """When the job and its result are removed; null until it has ended."""
    error: ImageError | None
    """Why it failed."""


@router.post(
    "/jobs",
    status_code=202,
    response_model=JobReply,
    dependencies=[PREDICT],
    responses=refusals(SUBMIT_REFUSALS),
    openapi_extra=form(JobFields),
)
async def submit(request: Request, fields: Annotated[JobFields, Query()]) -> Response:
    """Submit an image to be answered later; the reply says under which ID."""
    async with _jobs(request) as jobs:
        received = await receive_for_later(request, fields)
        fields, image, context = received.fields, received.image, received.context
        if fields.notify and not is_allowed(jobs.settings, fields.notify):
            message = (
                "notify names an origin that is not allowed here; those that are stand in "
                "MEDLOOP_QUEUE_WEBHOOK_ORIGINS."
            )
            raise Problem(422, "notify_not_allowed", message)
        new = NewJob(
            id=context.request_id,
            owner=context.token,
            key=fields.key,
            asked=fields.model_dump_json(),
            urgent=fields.urgent,
            notify=fields.notify,
            image=image,
            sha256=hashlib.sha256(image).hexdigest(),
        )
        try:
            job = await jobs.submit(new)
        except QueueFull as error:
            headers = {"Retry-After": "60"}
            raise Problem(503, "queue_full", str(error), headers=headers) from error
        if job.sha256 != new.sha256:
            message = f"key={fields.key!r} is the key of another image's job; use another key."
            raise Problem(409, "key_taken", message)
        if job.id == new.id:
            request.app.state.guard.audit.note_job(context, job, event="submitted")
        reply = as_json(_reply(jobs, job))
    reply.status_code = 202
    reply.headers["Location"] = f"/jobs/{job.id}"
    return reply


@router.get(
    "/jobs/{job}",
    response_model=JobReply,
    dependencies=[PREDICT],
    responses=refusals(JOB_REFUSALS),
)
async def status(request: Request, job: str) -> Response:
    """How a job stands."""
    async with _jobs(request) as jobs:
        return as_json(_reply(jobs, await _own(request, jobs, job)))


@router.get(
    "/jobs/{job}/result",
    response_model=Prediction | Explanation,
    dependencies=[PREDICT],
    responses=refusals(RESULT_REFUSALS),
)
async def result(request: Request, job: str) -> Response:
    """The answer of a job, as `/predict` or `/explain` gives it; or why it has none."""
    async with _jobs(request) as jobs:
        found = await _own(request, jobs, job)
        if found.status == "failed":
            assert found.refused_status is not None
            code, message = str(found.refused_code), str(found.refused_message)
            raise Problem(found.refused_status, code, message)
        if found.status == "expired":
            hours = jobs.settings.queue_wait_hours
            message = f"The job was not answered within {hours:g} hours. Submit it again."
            raise Problem(410, "expired", message)
        answer = await jobs.result(found.id) if found.status == "done" else None
    if answer is None:
        headers = {"Retry-After": str(POLL_SECONDS)}
        message = "The job has not ended yet; ask again later."
        raise Problem(409, "not_ended", message, headers=headers)
    return Response(answer, media_type="application/json")


@router.delete(
    "/jobs/{job}",
    operation_id="delete_job",
    response_model=JobReply,
    dependencies=[PREDICT],
    responses=refusals(JOB_REFUSALS),
)
async def delete(request: Request, job: str) -> Response:
    """Cancel a job, or delete its result; nothing of it is kept. The reply says how it stood."""
    async with _jobs(request) as jobs:
        await _own(request, jobs, job)
        removed = await jobs.remove(job)
        if removed is None:
            raise _unknown(job)
        request.app.state.guard.audit.note_job(context_of(request), removed, event="deleted")
        return as_json(_reply(jobs, removed))


@router.post(
    "/jobs/{job}/answer",
    status_code=204,
    include_in_schema=False,
    dependencies=[Depends(ONLY_ADMINISTRATORS)],
)
async def answer(request: Request, job: str) -> Response:
    """Answer a job now, for the process that works the queue off: 204 once it has ended, however,
    and whenever; anything else says that it has to ask again."""
    backend_of(request).executor.require_room()
    async with _jobs(request) as jobs:
        begun = await jobs.begin(job)
        if begun:
            await _answer(request, jobs, *begun)
    return Response(status_code=204)


async def _answer(request: Request, jobs: Jobs, job: Job, image: bytes) -> None:
    """Raises Problem: nothing can be answered now (503)."""
    fields = JobFields.model_validate_json(job.asked)
    context = RequestContext(request_id=job.id, principal=Principal(Role.PREDICT, job.owner))
    backend, upload = backend_of(request), Upload((image,), {}, ("",))
    try:
        if job.attempts > MOST_ATTEMPTS:
            message = f"The service was ended {MOST_ATTEMPTS} times while it answered this job."
            raise Problem(500, "given_up", message)
        reply: Prediction | Explanation
        if fields.task == "explain":
            explain = ExplainFields(**fields.model_dump(include=set(ExplainFields.model_fields)))
            reply = await reason(ImageRequest(backend, context, upload, explain, ROUTE))
        else:
            predict = PredictFields(dataset=fields.dataset)
            reply = await classify(ImageRequest(backend, context, upload, predict, ROUTE))
    except (Problem, BadImage) as error:
        code = error.code if isinstance(error, Problem) else error.reason
        refused = status_of(error)
        if refused == 503:
            await jobs.put_back(job.id)
            raise
        if await jobs.fail(job.id, status=refused, code=code, message=str(error)):
            context.refused = code
            request.app.state.guard.audit.note_refusals(context, refused, route=ROUTE)
    else:
        await jobs.finish(job.id, reply.model_dump_json(by_alias=True))


@asynccontextmanager
async def _jobs(request: Request) -> AsyncIterator[Jobs]:
    """The jobs of this installation.

    Raises:
        Problem: it takes none (404), or its database does not answer (503).
    """
    jobs = backend_of(request).jobs
    if jobs is None or not database.stands(jobs.settings):
        raise Problem(404, "no_queue", HOW)
    try:
        yield jobs
    except DatabaseUnavailable as error:
        message = "The queue's database does not answer now. Ask again later; no job is lost."
        raise Problem(503, "queue_unavailable", message) from error


async def _own(request: Request, jobs: Jobs, job: str) -> Job:
    """A job that whoever asks may see: one submitted with the same token, or any for
    administrators; raises Problem (404)."""
    found = await jobs.find(job)
    principal = context_of(request).principal
    assert principal is not None
    if found is None or (principal.role is not Role.ADMIN and found.owner != principal.token):
        raise _unknown(job)
    return found


def _unknown(job: str) -> Problem:
    message = (
        f"There is no job {job[:40]!r}: it was deleted, was kept for its time, or is another's."
    )
    return Problem(404, "unknown_job", message)


def _reply(jobs: Jobs, job: Job) -> JobReply:
    asked = JobFields.model_validate_json(job.asked)
    until = job.ended + timedelta(hours=jobs.settings.queue_keep_hours) if job.ended else None
    return JobReply(
        id=job.id,
        status=job.status,
        task=asked.task,
        urgent=job.urgent,
        sha256=job.sha256,
        submitted=_text(job.submitted),
        ended=_text(job.ended) if job.ended else None,
        kept_until=_text(until) if until else None,
        error=ImageError(code=job.refused_code, message=job.refused_message or "")
        if job.refused_code
        else None,
    )


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
