"""What a route works with: the request's images and checked fields, what answers them, and the
answer in words."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from pipelines.evaluation.abstention import Reason as Given
from pipelines.jobs.table import Jobs
from pipelines.release.predictor import Predictor, Reading
from serving.batching import Batcher
from serving.champions import Champions
from serving.context import Problem, RequestContext, context_of, route_of
from serving.executor import InferenceExecutor
from serving.records import Answered, Observer, UploadObserver
from serving.schemas import Prediction, Reason, Review, Wire
from serving.uploads import Limits, Upload, read_upload

FieldsT = TypeVar("FieldsT", bound=Wire)
ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Backend:
    """What the routes work with."""

    champions: Champions
    executor: InferenceExecutor
    limits: Limits
    observers: tuple[Observer, ...] = ()
    """Told of every image that is answered."""
    legacy_dataset: str | None = None
    """Whose model answers on ``/api/…`` where no data set is named."""
    note_upload: UploadObserver = lambda _: None
    """Told of every file for a landing folder, whatever became of it."""
    batcher: Batcher | None = None
    """Gathers images of `/predict`, where that is set."""
    jobs: Jobs | None = None
    """What was submitted to be answered later; ``None`` where this installation takes no jobs."""


async def _never() -> bool:
    return False


@dataclass(frozen=True)
class ImageRequest(Generic[FieldsT]):
    """Images and checked fields, and what is needed to answer them."""

    backend: Backend
    context: RequestContext
    upload: Upload
    fields: FieldsT
    route: str
    is_abandoned: Callable[[], Awaitable[bool]] = _never
    """Whether nobody waits for the answer any more."""

    @property
    def image(self) -> bytes:
        """The image, of a request that may have one only; raises Problem (400)."""
        images = self.upload.images
        if len(images) > 1:
            message = f"{len(images)} images came; send one, or all to /predict/batch."
            raise Problem(400, "one_image_only", message)
        return images[0]

    def choose(self, dataset: str | None) -> Predictor:
        """The predictor that answers, noted for the audit log; raises as `Champions.choose`."""
        predictor = self.backend.champions.choose(dataset)
        self.context.dataset = predictor.dataset
        self.context.model_version = predictor.version
        return predictor

    async def work(self, work: Callable[[], ResultT]) -> ResultT:
        """Do work in a thread, unless the client goes away while it waits for one.

        Raises:
            Problem: nobody waits for the result any more (499).
        """
        result = await self.backend.executor.run(work, is_abandoned=self.is_abandoned)
        if self.context.is_expired:
            raise Problem(499, "disconnected", "The client was answered before the work was done.")
        return result

    async def read(self, predictor: Predictor, image: bytes) -> Reading:
        """Decode and classify one image: in one go, or together with others where that is set.

        Raises:
            BadImage: the bytes are not an image within the data set's limits.
            Problem: nobody waits for the result any more (499), or it would wait too long (503).
        """
        if batcher := self.backend.batcher:
            picture = await self.work(lambda: predictor.see(image))
            return await batcher.judge(predictor, picture)
        return await self.work(lambda: predictor.read(image))

    def answer(self, predictor: Predictor, reading: Reading) -> Prediction:
        """The answer in words; those who keep count are told."""
        context = self.context
        answer = prediction_of(predictor, reading, request_id=context.request_id)
        answered = Answered(context, self.route, predictor, reading, answer, context.seconds)
        for observe in self.backend.observers:
            observe(answered)
        return answer


def as_json(answer: Wire) -> Response:
    """A message as JSON, written by pydantic in one go."""
    return Response(answer.model_dump_json(by_alias=True), media_type="application/json")


def backend_of(request: Request) -> Backend:
    """What the routes of an application work with."""
    backend: Backend = request.app.state.backend
    return backend


async def receive(request: Request, query: FieldsT) -> ImageRequest[FieldsT]:
    """Read a request's images; the fields of its form override those of its query.

    Raises:
        Problem: the images cannot be read or would wait too long; see `read_upload`.
        RequestValidationError: a field of the form is unknown, or its value cannot be used.
    """
    backend = backend_of(request)
    backend.executor.require_room()  # at once, whatever is still to come
    received = await receive_for_later(request, query)
    backend.executor.require_room()
    return received


async def receive_for_later(request: Request, query: FieldsT) -> ImageRequest[FieldsT]:
    """The same of a request that is answered later, however much waits now."""
    backend = backend_of(request)
    upload = await read_upload(request, backend.limits)
    fields = query
    if upload.fields:
        try:
            fields = type(query).model_validate(
                query.model_dump(exclude_unset=True) | upload.fields
            )
        except ValidationError as error:
            raise RequestValidationError(error.errors()) from error
    return ImageRequest(
        backend,
        context_of(request),
        upload,
        fields,
        route_of(request.scope),
        request.is_disconnected,
    )


def prediction_of(predictor: Predictor, reading: Reading, *, request_id: str) -> Prediction:
    """A reading as the answer of ``/predict``."""
    manifest = predictor.bundle.manifest
    decided = manifest.classes[reading.best]
    shares = reading.shares
    return Prediction(
        dataset=manifest.dataset,
        dataset_title=manifest.title,
        model_version=predictor.version,
        class_name=decided.name,
        title=decided.title,
        finding=decided.finding,
        confidence=shares[reading.best],
        certainty=min(1.0, reading.certainty),
        probabilities=dict(zip(predictor.class_names, shares, strict=True)),
        abstained=bool(reading.doubts),
        abstained_because=_reasons(reading.doubts),
        review=_review(predictor.review(reading)),
        synthetic=manifest.synthetic,
        disclaimer=manifest.disclaimer,
        request_id=request_id,
    )


def _review(reasons: Iterable[Given]) -> Review:
    given = _reasons(reasons)
    return Review(needed=bool(given), reasons=given)


def _reasons(reasons: Iterable[Given]) -> list[Reason]:
    return [Reason(code=reason.code, message=reason.message) for reason in reasons]
