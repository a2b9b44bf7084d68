"""The audit log of the service: a line for each image answered, one for each refusal.

No request waits for the disk, and none is refused because it is full: see `serving.records.spool`.
"""

import time

from starlette.requests import Request

from pipelines.audit.entries import ANSWERS, REFUSALS, AnsweredEntry, RefusedEntry, audit_folder
from pipelines.settings import Settings
from serving.access.doors import known
from serving.observed import Answered
from serving.records.append import Appended
from serving.records.spool import Spool


class Audit:
    """Writes what `pipelines.audit.entries` says.

    Args:
        answers: where lines on answers go.
        refusals: where lines on refusals go.
    """

    def __init__(self, answers: Spool, refusals: Spool) -> None:
        self._answers = answers
        self._refusals = refusals

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
                for name in (ANSWERS, REFUSALS)
            )
        )

    def start(self) -> None:
        """Begin to write."""
        self._answers.start()
        self._refusals.start()

    def stop(self) -> None:
        """Write what waits, and end."""
        self._answers.stop()
        self._refusals.stop()

    def note_answer(self, answered: Answered) -> None:
        """Note an image that was answered; an `Observer`."""
        manifest = answered.predictor.bundle.manifest
        answer = answered.prediction
        entry = AnsweredEntry(
            request_id=answered.request_id,
            token=answered.client,
            address=answered.address,
            path=known(answered.path),
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

    def note_refusals(self, request: Request, status: int) -> None:
        """Note why a request, or images of a batch, are refused, as its answer begins."""
        state = request.state
        if status < 400 and not hasattr(state, "refused_images"):
            return
        codes = list(getattr(state, "refused_images", ()))
        if status >= 400:
            codes.append(getattr(state, "refused", str(status)))
        client = getattr(state, "client", None)
        if status == 429 and client is None:
            return  # the rest of a stranger's flood: counted, and known by its first lines
        for code in codes:
            entry = RefusedEntry(
                request_id=state.request_id,
                token=client,
                address=request.client.host if request.client else None,
                path=known(request.scope["path"]),
                milliseconds=round((time.perf_counter() - state.began) * 1e3, 2),
                status=status,
                code=code,
            )
            self._refusals.put(_line(entry))


def _line(entry: AnsweredEntry | RefusedEntry) -> bytes:
    return entry.model_dump_json(by_alias=True).encode() + b"\n"
