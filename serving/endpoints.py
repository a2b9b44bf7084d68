"""What each route does: read the request, ask the model in a worker thread, write the answer."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from pipelines.access.tokens import Role
from pipelines.evaluation.overlay import picture_alone
from pipelines.release.predictor import Predictor, Reading
from serving import replies
from serving.champions import Champions
from serving.desk import Desk
from serving.limits import Limits
from serving.observed import Answered, Observer
from serving.problems import Problem
from serving.replies import Drawn, data_uri
from serving.schemas import (
    ClassesReply,
    ExplainFields,
    OverlayFields,
    PredictFields,
    Prediction,
    Wire,
)
from serving.uploads import Upload, read_upload

FieldsT = TypeVar("FieldsT", bound=Wire)
ResultT = TypeVar("ResultT")

if TYPE_CHECKING:
    from serving.landing import Uploaded


@dataclass(frozen=True)
class Backend:
    """What the routes work with."""

    champions: Champions
    desk: Desk
    limits: Limits
    observers: tuple[Observer, ...] = ()
    """Told of every image that is answered."""
    classic_dataset: str | None = None
    """Whose model answers on ``/api/…`` where no data set is named."""
    note_upload: Callable[[Request, "Uploaded"], None] = lambda *_: None
    """Told of every file for a landing folder, whatever became of it."""


async def predict(request: Request) -> Response:
    """Classify one image."""
    upload, fields = await ask(request, PredictFields)
    predictor = backend_of(request).champions.choose(fields.dataset)
    reading = await work_for(request, lambda: predictor.read(only(upload)))
    return as_json(told(request, predictor, reading))


async def gradcam(request: Request) -> Response:
    """Draw where the model looked, over the image in its own proportions."""
    upload, fields = await ask(request, OverlayFields)
    predictor = backend_of(request).champions.choose(fields.dataset)
    target = class_index(predictor, fields.target)

    def draw() -> tuple[Reading, int, bytes]:
        reading = predictor.read(only(upload))
        shown = reading.best if target is None else target
        return reading, shown, predictor.overlay(reading, shown, opacity=fields.opacity)

    reading, shown, png = await work_for(request, draw)
    prediction = told(request, predictor, reading)
    headers = replies.overlay_headers(prediction, predictor.class_names[shown])
    return Response(png, media_type="image/png", headers=headers)


async def explain(request: Request) -> Response:
    """Classify one image and say why: overlay and educational text in one answer."""
    upload, fields = await ask(request, ExplainFields)
    predictor = backend_of(request).champions.choose(fields.dataset)
    target = class_index(predictor, fields.target)

    def draw() -> tuple[Reading, Drawn]:
        reading = predictor.read(only(upload))
        shown = reading.best if target is None else target
        return reading, Drawn(
            shown,
            overlay=data_uri(predictor.overlay(reading, shown, opacity=fields.opacity)),
            original=data_uri(picture_alone(reading.picture)) if fields.original else None,
            attention=predictor.attention(reading, shown),
        )

    reading, drawn = await work_for(request, draw)
    prediction = told(request, predictor, reading)
    return as_json(replies.explanation(predictor, prediction, drawn))


async def classes(request: Request) -> Response:
    """Every served data set and the classes its model tells apart."""
    predictors = backend_of(request).champions.serving()
    return as_json(ClassesReply(datasets=[replies.classes_of(p) for p in predictors]))


async def model(request: Request) -> Response:
    """Which model answers for each data set, where it came from, and what was refused."""
    role = getattr(request.state, "role", None)
    may_upload = role is None or role.includes(Role.UPLOAD)
    report = backend_of(request).champions.report()
    return as_json(report.model_copy(update={"may_upload": may_upload}))


def backend_of(request: Request) -> Backend:
    backend: Backend = request.app.state.backend
    return backend


async def work_for(request: Request, work: Callable[[], ResultT]) -> ResultT:
    """Do work in a thread, unless the client goes away while it waits for one.

    Raises:
        Problem: nobody waits for the result any more (499).
    """
    result = await backend_of(request).desk.run(work, is_abandoned=request.is_disconnected)
    if getattr(request.state, "is_expired", False):
        raise Problem(499, "disconnected", "The client was answered before the work was done.")
    return result


async def ask(request: Request, model: type[FieldsT]) -> tuple[Upload, FieldsT]:
    """The images and the checked fields of a request."""
    backend = backend_of(request)
    backend.desk.require_room()  # at once, whatever is still to come
    upload = await read_upload(request, backend.limits)
    backend.desk.require_room()
    try:
        return upload, model.model_validate(upload.fields)
    except ValidationError as error:
        raise _bad_field(error, model) from error


def _bad_field(error: ValidationError, model: type[Wire]) -> Problem:
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    known = ", ".join(model.model_fields)
    if first["type"] == "extra_forbidden":
        return Problem(400, "unknown_field", f"There is no field {name!r}; fields: image, {known}.")
    return Problem(422, "bad_field", f"{name}={first['input']!r}: {first['msg']}.")


def class_index(predictor: Predictor, name: str | None) -> int | None:
    """Position of a class in the model's outputs; ``None`` for no name.

    Raises:
        Problem: there is no such class (422).
    """
    if name is None:
        return None
    if name not in predictor.class_names:
        known = ", ".join(predictor.class_names)
        raise Problem(422, "unknown_class", f"target={name!r} is no class; there are {known}.")
    return predictor.class_names.index(name)


def only(upload: Upload) -> bytes:
    if len(upload.images) > 1:
        message = f"{len(upload.images)} images came; send one, or all to /predict/batch."
        raise Problem(400, "one_image_only", message)
    return upload.images[0]


def told(request: Request, predictor: Predictor, reading: Reading) -> Prediction:
    """The answer in words; those who keep count are told."""
    state = request.state
    answer = replies.prediction(predictor, reading, request_id=state.request_id)
    answered = Answered(
        request_id=state.request_id,
        client=getattr(state, "client", None),
        address=request.client.host if request.client else None,
        path=request.url.path,
        predictor=predictor,
        reading=reading,
        prediction=answer,
        seconds=time.perf_counter() - state.began,
    )
    for observe in backend_of(request).observers:
        observe(answered)
    return answer


def as_json(answer: Wire) -> Response:
    return Response(answer.model_dump_json(by_alias=True), media_type="application/json")
