"""Several images in one request: one that is refused does not spoil the others.

The images are worked on side by side, a thread each, and not stacked into one batch for the
model: docs/decisions/batching.md says why.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from pipelines.errors import BadImage
from pipelines.failures import only_this_image
from pipelines.release.predictor import Predictor, Reading
from serving.counters import count_batch, count_refusal
from serving.endpoints import as_json, ask, backend_of, class_index, told, work_for
from serving.replies import data_uri
from serving.schemas import (
    BatchItem,
    BatchReply,
    ImageError,
    OverlayBatchReply,
    OverlayFields,
    OverlayItem,
    PredictFields,
)
from serving.uploads import Upload

logger = logging.getLogger(__name__)

SeenT = TypeVar("SeenT")


async def predict_batch(request: Request) -> Response:
    """Classify several images; one that is refused does not spoil the others."""
    upload, fields = await ask(request, PredictFields)
    predictor = backend_of(request).champions.choose(fields.dataset)
    results = [
        BatchItem(error=_refused(request, answer))
        if isinstance(answer, BadImage)
        else BatchItem(prediction=told(request, predictor, answer))
        for answer in await _each(request, upload, predictor.read)
    ]
    return as_json(BatchReply(results=results, request_id=request.state.request_id))


async def gradcam_batch(request: Request) -> Response:
    """Classify several images and draw where the model looked in each; one that is refused does
    not spoil the others."""
    upload, fields = await ask(request, OverlayFields)
    predictor = backend_of(request).champions.choose(fields.dataset)
    target = class_index(predictor, fields.target)

    def draw(image: bytes) -> tuple[Reading, int, str]:
        reading = predictor.read(image)
        shown = reading.best if target is None else target
        return reading, shown, data_uri(predictor.overlay(reading, shown, opacity=fields.opacity))

    results = [
        OverlayItem(error=_refused(request, answer))
        if isinstance(answer, BadImage)
        else _overlay(request, predictor, *answer)
        for answer in await _each(request, upload, draw)
    ]
    return as_json(OverlayBatchReply(results=results, request_id=request.state.request_id))


async def _each(
    request: Request, upload: Upload, work: Callable[[bytes], SeenT]
) -> list[SeenT | BadImage]:
    """What comes of each image, in their order: a result, or why there is none."""
    count_batch(len(upload.images))

    def attempt(image: bytes) -> SeenT | BadImage:
        try:
            with only_this_image(logger, f"request {request.state.request_id}, one image"):
                return work(image)
        except BadImage as error:
            return error

    waiting = (work_for(request, partial(attempt, image)) for image in upload.images)
    # Wait for all, also where one fails: the body may not be given back while work is at it.
    results = await asyncio.gather(*waiting, return_exceptions=True)
    answers: list[SeenT | BadImage] = []
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, BadImage):
            raise result
        answers.append(result)
    return answers


def _overlay(
    request: Request, predictor: Predictor, reading: Reading, shown: int, overlay: str
) -> OverlayItem:
    prediction = told(request, predictor, reading)
    return OverlayItem(prediction=prediction, target=predictor.class_names[shown], overlay=overlay)


def _refused(request: Request, error: BadImage) -> ImageError:
    """Why one image is refused, counted and noted for the audit log."""
    state = request.state
    state.refused_images = (*getattr(state, "refused_images", ()), error.reason)
    count_refusal(error.reason)
    return ImageError(code=error.reason, message=str(error))
