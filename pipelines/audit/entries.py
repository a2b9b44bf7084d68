"""What a line of the audit log says, where the lines stand, and how one is found again.

``$MEDLOOP_HOME/service/audit/answers.jsonl`` has a line for each image that was answered,
``refusals.jsonl`` one for each that was not, ``uploads.jsonl`` one for each file that was sent
for a landing folder, ``jobs.jsonl`` one for each job that was submitted or deleted (the request ID
of its answer is the job's ID), ``erasures.jsonl`` one for each erasure of images,
``rollbacks.jsonl`` one for each automatic rollback. ``unauthenticated.jsonl`` has the refusals of
everybody else who reaches the service: a number of lines a minute, the rest counted. Older lines
stand in ``.1``, ``.2`` and so on. The files are apart so that no flood of refused requests can push
answers out, and nobody without a token the refusals of those who have one.
"""

import mmap
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from pipelines.locks import rotation_locked
from pipelines.settings import Settings

ANSWERS = "answers.jsonl"
REFUSALS = "refusals.jsonl"
UNAUTHENTICATED = "unauthenticated.jsonl"
UPLOADS = "uploads.jsonl"
JOBS = "jobs.jsonl"
ERASURES = "erasures.jsonl"
ROLLBACKS = "rollbacks.jsonl"


class LoggedEntry(BaseModel):
    """What every line of the service says."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, protected_namespaces=()
    )

    time: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    """When it was answered."""
    request_id: str
    token: str | None
    """Name of the token; null where none was asked for, or none was good."""
    address: str | None
    """The client's, as far as a proxy tells."""
    path: str
    milliseconds: float
    """From the request's first byte to the answer."""


class AnsweredEntry(LoggedEntry):
    """One image that was answered. No pixels, no file name, nothing of whose image it is."""

    dataset: str
    model_version: int | None
    run_id: str
    """The MLflow run of the model: versions are counted anew by another MLflow server."""
    bundle: str
    """Digest of the inference bundle."""
    sha256: str
    """Of the bytes that came: whoever has the image can show that it was this one."""
    class_name: str = Field(alias="class")
    confidence: float
    abstained: bool | None = None


class RefusedEntry(LoggedEntry):
    """One request, or one image of a batch, that was refused."""

    status: int
    code: str
    dataset: str | None = None
    """Whose model was to answer; null where the request was refused before one was chosen."""
    model_version: int | None = None
    count: int = 1
    """How many refusals of one minute, status and code this line stands for; the ID and the
    address are the newest's."""


class UploadedEntry(LoggedEntry):
    """One file that was sent for a landing folder. No file name: it may be a patient's."""

    dataset: str
    label: str | None
    folder: str
    """Where it is, or was to go, relative to the landing folder."""
    sha256: str | None
    """Null if the file could not be opened."""
    bytes: int
    status: str
    """``accepted``, ``duplicate`` or ``refused``."""
    code: str | None
    """Why it was not accepted."""


class JobEntry(LoggedEntry):
    """One job that was submitted or deleted."""

    job: str
    """Its ID; the `request_id` of its answer."""
    event: Literal["submitted", "deleted"]
    sha256: str
    """Of its image."""
    bytes: int


class ErasedEntry(BaseModel):
    """One erasure of images (``medloop erase``). Nothing of whose images they were."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    time: AwareDatetime
    """When it ended."""
    id: str
    """Of the certificate, in the store."""
    dataset: str
    by: str
    """The user of this machine who asked for it."""
    reason: str
    asked: str
    """How the images were named: ``patient``, ``image`` or ``file``."""
    images: int


class RolledBackEntry(BaseModel):
    """One automatic rollback after a promotion."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    time: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    dataset: str
    version: int
    """The version that was rolled back."""
    restored: int
    """The version that serves again."""
    promoted: AwareDatetime
    """When the first of them was promoted."""
    reasons: tuple[str, ...]


EntryT = TypeVar("EntryT", bound=LoggedEntry)


def audit_folder(settings: Settings) -> Path:
    """Where the audit log of an installation stands."""
    return settings.home / "service" / "audit"


def note_erasure(settings: Settings, entry: ErasedEntry) -> None:
    """Add an erasure to the audit log."""
    _append(settings, ERASURES, entry)


def note_rollback(settings: Settings, entry: RolledBackEntry) -> None:
    """Add an automatic rollback to the audit log."""
    _append(settings, ROLLBACKS, entry)


def _append(settings: Settings, name: str, entry: BaseModel) -> None:
    folder = audit_folder(settings)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = folder / name
    log.touch(mode=0o600)
    with log.open("a", encoding="utf-8") as file:
        file.write(entry.model_dump_json() + "\n")


def find_answers(folder: Path, request_id: str) -> list[AnsweredEntry]:
    """The answers to one request, an image each; the newest file is looked at first."""
    lines = _lines_with(folder, ANSWERS, request_id)
    return [e for e in parsed(AnsweredEntry, lines) if e.request_id == request_id]


def find_refusals(folder: Path, request_id: str) -> list[RefusedEntry]:
    """Why one request, or images of it, were refused."""
    lines = chain(
        _lines_with(folder, REFUSALS, request_id),
        _lines_with(folder, UNAUTHENTICATED, request_id),
    )
    return [e for e in parsed(RefusedEntry, lines) if e.request_id == request_id]


def find_uploads(folder: Path, request_id: str) -> list[UploadedEntry]:
    """What became of the files that one request sent for a landing folder."""
    lines = _lines_with(folder, UPLOADS, request_id)
    return [e for e in parsed(UploadedEntry, lines) if e.request_id == request_id]


def find_jobs(folder: Path, job: str) -> list[JobEntry]:
    """When a job was submitted and deleted."""
    lines = _lines_with(folder, JOBS, job)
    return [e for e in parsed(JobEntry, lines) if e.job == job]


def files_of(folder: Path, name: str) -> list[Path]:
    """The files of a log that stand, the newest first."""
    numbered = [p for p in folder.glob(f"{name}.*") if p.suffix[1:].isdecimal()]
    numbered.sort(key=lambda path: int(path.suffix[1:]))
    current = folder / name
    return [current, *numbered] if current.exists() else numbered


def parsed(kind: type[EntryT], lines: Iterator[bytes]) -> Iterator[EntryT]:
    """The entries of lines; those that are damaged are passed over."""
    for line in lines:
        try:
            yield kind.model_validate_json(line)
        except ValidationError:  # cut short by a full disk
            continue


@contextmanager
def maps_of(folder: Path, name: str) -> Iterator[list[mmap.mmap]]:
    """The files of a log, mapped into memory, the newest first; empty ones are left out.

    All are opened before the first is read, so that none is missed or read twice where the service
    rotates them meanwhile.
    """
    with ExitStack() as opened:
        with rotation_locked(folder):
            files = [opened.enter_context(path.open("rb")) for path in files_of(folder, name)]
        yield [
            opened.enter_context(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            for file in files
            if os.fstat(file.fileno()).st_size
        ]


def _lines_with(folder: Path, name: str, text: str) -> Iterator[bytes]:
    """Lines in which a text occurs; whole files are searched at the speed of memory."""
    wanted = text.encode()
    with maps_of(folder, name) as logs:
        for log in logs:
            at = log.find(wanted)
            while at >= 0:
                begins, ends = log.rfind(b"\n", 0, at) + 1, log.find(b"\n", at)
                ends = len(log) if ends < 0 else ends
                yield log[begins:ends]
                at = log.find(wanted, ends)
