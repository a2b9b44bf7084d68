"""Images → predictions, overlays, explanations.

A request is read (`serving.image_request`), asks the model in a worker thread, and is answered.
The images of a batch are worked on side by side, a thread each, and not stacked into one batch for
the model: docs/decisions/batching.md says why.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from pipelines.errors import BadImage
from pipelines.evaluation.overlay import picture_alone
from pipelines.failures import only_this_image
from pipelines.release.predictor import Predictor, Reading
from serving import replies
from serving.access.permissions import PREDICT, GuardedRoute
from serving.context import Problem, RequestContext
from serving.image_request import FieldsT, ImageRequest, ResultT, as_json, receive
from serving.metrics import count_batch, count_refusal
from serving.openapi import FILE, REFUSALS, answers, form, refusals
from serving.replies import Drawn, data_uri
from serving.schemas import (
    BatchItem,
    BatchReply,
    ExplainFields,
    Explanation,
    ImageError,
    OverlayBatchReply,
    OverlayFields,
    OverlayItem,
    PredictFields,
    Prediction,
)

logger = logging.getLogger(__name__)
router = APIRouter(route_class=GuardedRoute, dependencies=[PREDICT], responses=refusals(REFUSALS))


@router.post("/predict", response_model=Prediction, openapi_extra=form(PredictFields))
async def predict(request: Request, fields: Annotated[PredictFields, Query()]) -> Response:
    """Classify one image."""
    return as_json(await classify(await receive(request, fields)))


@router.post(
    "/gradcam",
    response_class=Response,
    responses=answers("image/png", FILE),
    openapi_extra=form(OverlayFields),
)
async def gradcam(request: Request, fields: Annotated[OverlayFields, Query()]) -> Response:
    """Draw where the model looked, over the image in its own proportions."""
    prediction, target, png = await draw(await receive(request, fields))
    headers = replies.overlay_headers(prediction, target)
    return Response(png, media_type="image/png", headers=headers)


@router.post("/explain", response_model=Explanation, openapi_extra=form(ExplainFields))
async def explain(request: Request, fields: Annotated[ExplainFields, Query()]) -> Response:
    """Classify one image and say why: overlay and educational text in one answer."""
    return as_json(await reason(await receive(request, fields)))


@router.post(
    "/predict/batch", response_model=BatchReply, openapi_extra=form(PredictFields, several=True)
)
async def predict_batch(request: Request, fields: Annotated[PredictFields, Query()]) -> Response:
    """Classify several images; one that is refused does not spoil the others."""
    received = await receive(request, fields)
    predictor = received.choose(received.fields.dataset)
    results = [
        BatchItem(error=_refused(received.context, answer))
        if isinstance(answer, BadImage)
        else BatchItem(prediction=received.answer(predictor, answer))
        for answer in await _each(received, predictor.read)
    ]
    return as_json(BatchReply(results=results, request_id=received.context.request_id))


@router.post(
    "/gradcam/batch",
    response_model=OverlayBatchReply,
    openapi_extra=form(OverlayFields, several=True),
)
async def gradcam_batch(request: Request, fields: Annotated[OverlayFields, Query()]) -> Response:
    """Classify several images and draw where the model looked in each; one that is refused does
    not spoil the others."""
    received = await receive(request, fields)
    predictor, target = _chosen(received)

    def overlaid(image: bytes) -> tuple[Reading, int, str]:
        reading = predictor.read(image)
        shown = reading.best if target is None else target
        png = predictor.overlay(reading, shown, opacity=received.fields.opacity)
        return reading, shown, data_uri(png)

    results = []
    for answer in await _each(received, overlaid):
        if isinstance(answer, BadImage):
            results.append(OverlayItem(error=_refused(received.context, answer)))
            continue
        reading, shown, overlay = answer
        results.append(
            OverlayItem(
                prediction=received.answer(predictor, reading),
                target=predictor.class_names[shown],
                overlay=overlay,
            )
        )
    return as_json(OverlayBatchReply(results=results, request_id=received.context.request_id))


async def classify(received: ImageRequest[PredictFields]) -> Prediction:
    """The answer of ``/predict``."""
    predictor = received.choose(received.fields.dataset)
    return received.answer(predictor, await received.read(predictor, received.image))


async def draw(received: ImageRequest[OverlayFields]) -> tuple[Prediction, str, bytes]:
    """The answer of ``/gradcam``: prediction, class that is explained, PNG."""
    predictor, target = _chosen(received)
    image = received.image

    def look() -> tuple[Reading, int, bytes]:
        reading = predictor.read(image)
        shown = reading.best if target is None else target
        return reading, shown, predictor.overlay(reading, shown, opacity=received.fields.opacity)

    reading, shown, png = await received.work(look)
    return received.answer(predictor, reading), predictor.class_names[shown], png


async def reason(received: ImageRequest[ExplainFields]) -> Explanation:
    """The answer of ``/explain``."""
    predictor, target = _chosen(received)
    image, fields = received.image, received.fields

    def look() -> tuple[Reading, Drawn]:
        reading = predictor.read(image)
        shown = reading.best if target is None else target
        return reading, Drawn(
            shown,
            overlay=data_uri(predictor.overlay(reading, shown, opacity=fields.opacity)),
            original=data_uri(picture_alone(reading.picture)) if fields.original else None,
            attention=predictor.attention(reading, shown),
        )

    reading, drawn = await received.work(look)
    return replies.explanation(predictor, received.answer(predictor, reading), drawn)


def _chosen(
    received: ImageRequest[OverlayFields] | ImageRequest[ExplainFields],
) -> tuple[Predictor, int | None]:
    """The predictor, and the class to explain; ``None`` for the predicted one.

    Raises:
        Problem: there is no such class (422), or no predictor; see `Champions.choose`.
    """
    predictor, name = received.choose(received.fields.dataset), received.fields.target
    if name is None:
        return predictor, None
    if name not in predictor.class_names:
        known = ", ".join(predictor.class_names)
        raise Problem(422, "unknown_class", f"target={name!r} is no class; there are {known}.")
    return predictor, predictor.class_names.index(name)


async def _each(
    received: ImageRequest[FieldsT], work: Callable[[bytes], ResultT]
) -> list[ResultT | BadImage]:
    """What comes of each image, in their order: a result, or why there is none."""
    images = received.upload.images
    count_batch(len(images))

    def attempt(image: bytes) -> ResultT | BadImage:
        try:
            with only_this_image(logger, f"request {received.context.request_id}, one image"):
                return work(image)
        except BadImage as error:
            return error

    waiting = (received.work(partial(attempt, image)) for image in images)
    # Wait for all, also where one fails: the body may not be given back while work is at it.
    results = await asyncio.gather(*waiting, return_exceptions=True)
    done: list[ResultT | BadImage] = []
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, BadImage):
            raise result
        done.append(result)
    return done


def _refused(context: RequestContext, error: BadImage) -> ImageError:
    """Why one image is refused, counted and noted for the audit log."""
    context.refused_images.append(error.reason)
    count_refusal(error.reason)
    return ImageError(code=error.reason, message=str(error))
