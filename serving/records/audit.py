"""The audit log of the service: a line for each image answered, one for each refusal.

No request waits for the disk, and none is refused because it is full: see `serving.records.log`.
Anybody who reaches the service can be refused as often as they like, so what unauthenticated
clients can make it grow by is bounded: each minute the first refusals have a line each, and those
beyond share one for each status and code (`Budget`).
"""

import time
from collections.abc import Callable
from typing import Literal

from pipelines.audit.entries import (
    ANSWERS,
    JOBS,
    REFUSALS,
    UNAUTHENTICATED,
    UPLOADS,
    AnsweredEntry,
    JobEntry,
    RefusedEntry,
    UploadedEntry,
    audit_folder,
)
from pipelines.jobs.table import Job
from pipelines.settings import Settings
from serving.context import RequestContext
from serving.records import Answered, Uploaded
from serving.records.log import Appended, Spool

SECONDS = 60.0


class Budget:
    """Lines of one minute after the other.

    Args:
        lines: how many refusals of a minute have a line of their own.
        seconds: length of the minute.
        clock: seconds that never run back.
    """

    def __init__(
        self, lines: int, *, seconds: float = SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lines = lines
        self._seconds = seconds
        self._clock = clock
        self._ends = 0.0
        self._written = 0
        self._shared: dict[tuple[str | None, int, str], RefusedEntry] = {}

    @property
    def is_due(self) -> bool:
        """Whether `flush` has lines of a minute that is over."""
        return bool(self._shared) and self._clock() >= self._ends

    def add(self, entry: RefusedEntry) -> list[RefusedEntry]:
        """Take in one refusal; what is to be written now."""
        due = []
        if self._clock() >= self._ends:
            due = self.flush()
            self._ends = self._clock() + self._seconds
            self._written = 0
        if self._written < self._lines:
            self._written += 1
            return [*due, entry]
        kind = (entry.token, entry.status, entry.code)
        before = self._shared.get(kind)
        count = 1 + (before.count if before else 0)
        self._shared[kind] = entry.model_copy(update={"count": count})
        return due

    def flush(self) -> list[RefusedEntry]:
        """The shared lines of the minute so far, each with the newest request it counts."""
        shared, self._shared = list(self._shared.values()), {}
        return shared


STRANGERS_LINES = 60
"""Refusals of unauthenticated clients that have a line of their own, in each minute and worker."""


class Audit:
    """Writes what `pipelines.audit.entries` says.

    Args:
        answers: where lines on answers go.
        refusals: where lines on refusals go.
        unauthenticated: where lines on refusals of unauthenticated clients go.
        uploads: where lines on files for landing folders go.
        jobs: where lines on jobs go.
    """

    def __init__(
        self, answers: Spool, refusals: Spool, unauthenticated: Spool, uploads: Spool, jobs: Spool
    ) -> None:
        self._answers = answers
        self._refusals = refusals
        self._unauthenticated = unauthenticated
        self._uploads = uploads
        self._jobs = jobs
        self._budget = Budget(STRANGERS_LINES)
        self._too_many = Budget(0)
        """Of those who are known: nothing else bounds how often they are told to slow down."""

    @classmethod
    def of(cls, settings: Settings) -> "Audit":
        """The audit log of an installation."""
        folder, most_bytes = audit_folder(settings), int(settings.audit_megabytes * 1e6)
        return cls(
            *(
                Spool(
                    Appended(folder / name, most_bytes=most_bytes, files=settings.audit_files),
                    name=name,
                )
                for name in (ANSWERS, REFUSALS, UNAUTHENTICATED, UPLOADS, JOBS)
            )
        )

    def start(self) -> None:
        """Begin to write."""
        for spool in self._spools:
            spool.start()

    def stop(self) -> None:
        """Write what waits, and end."""
        self._put(self._unauthenticated, self._budget.flush())
        self._put(self._refusals, self._too_many.flush())
        for spool in self._spools:
            spool.stop()

    @property
    def _spools(self) -> tuple[Spool, ...]:
        return self._answers, self._refusals, self._unauthenticated, self._uploads, self._jobs

    def note_answer(self, answered: Answered) -> None:
        """Note an image that was answered; an `Observer`."""
        manifest = answered.predictor.bundle.manifest
        answer = answered.prediction
        entry = AnsweredEntry(
            request_id=answered.context.request_id,
            token=answered.context.token,
            address=answered.context.address,
            path=answered.route,
            milliseconds=round(answered.seconds * 1e3, 2),
            dataset=answer.dataset,
            model_version=answer.model_version,
            run_id=manifest.run_id,
            bundle=manifest.digest,
            sha256=answered.reading.sha256,
            class_name=answer.class_name,
            confidence=round(answer.confidence, 6),
            abstained=answer.abstained,
        )
        self._answers.put(_line(entry))

    def note_upload(self, uploaded: Uploaded) -> None:
        """Note a file that was sent for a landing folder; an `UploadObserver`."""
        context = uploaded.context
        entry = UploadedEntry(
            request_id=context.request_id,
            token=context.token,
            address=context.address,
            path=uploaded.route,
            milliseconds=round(context.seconds * 1e3, 2),
            dataset=uploaded.dataset,
            label=uploaded.label,
            folder=uploaded.folder,
            sha256=uploaded.sha256,
            bytes=uploaded.bytes,
            status=uploaded.outcome.status,
            code=uploaded.outcome.code,
        )
        self._uploads.put(_line(entry))

    def note_job(
        self, context: RequestContext, job: Job, *, event: Literal["submitted", "deleted"]
    ) -> None:
        """Note a job that was submitted or deleted."""
        entry = JobEntry(
            request_id=context.request_id,
            token=context.token,
            address=context.address,
            path="/jobs",
            milliseconds=round(context.seconds * 1e3, 2),
            job=job.id,
            event=event,
            sha256=job.sha256,
            bytes=job.bytes,
        )
        self._jobs.put(_line(entry))

    def note_refusals(self, context: RequestContext, status: int, *, route: str) -> None:
        """Note why a request, or images of a batch, are refused, as its answer begins."""
        self._write_due()
        codes = list(context.refused_images)
        if status >= 400:
            codes.append(context.refused or str(status))
        for code in codes:
            entry = RefusedEntry(
                request_id=context.request_id,
                token=context.token,
                address=context.address,
                path=route,
                milliseconds=round(context.seconds * 1e3, 2),
                status=status,
                code=code,
                dataset=context.dataset,
                model_version=context.model_version,
            )
            if context.principal is None:
                self._put(self._unauthenticated, self._budget.add(entry))
            elif status == 429:
                self._put(self._refusals, self._too_many.add(entry))
            else:
                self._put(self._refusals, [entry])

    def _write_due(self) -> None:
        if self._budget.is_due:
            self._put(self._unauthenticated, self._budget.flush())
        if self._too_many.is_due:
            self._put(self._refusals, self._too_many.flush())

    @staticmethod
    def _put(spool: Spool, entries: list[RefusedEntry]) -> None:
        for entry in entries:
            spool.put(_line(entry))


def _line(entry: AnsweredEntry | RefusedEntry | UploadedEntry | JobEntry) -> bytes:
    return entry.model_dump_json(by_alias=True).encode() + b"\n"
