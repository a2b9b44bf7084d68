"""Images to try the service with: the canary images of what serves, where anybody may see them."""

import asyncio
from urllib.parse import quote

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pipelines.release.bundle import CanaryImage
from pipelines.release.predictor import Predictor
from serving.access.permissions import PREDICT, GuardedRoute
from serving.asked import as_json, backend_of
from serving.context import Problem
from serving.describe import FILE, SAMPLE_REFUSALS, answers, refusals
from serving.schemas import Sample, SamplesReply

FREE = ("CC0-1.0", "CC-BY-4.0")
"""Licences under which an image may be shown to whoever may ask for predictions."""

router = APIRouter(route_class=GuardedRoute, dependencies=[PREDICT])


@router.get("/samples", response_model=SamplesReply, responses=refusals())
async def samples(request: Request) -> Response:
    """An image of each class to try the service with; none of a data set whose licence does not
    allow it to be shown."""
    found = [
        _described(predictor, number)
        for predictor in backend_of(request).champions.serving()
        for number in _first_of_each_class(predictor)
    ]
    return as_json(SamplesReply(samples=found))


@router.get(
    "/samples/{dataset}/{number}",
    response_class=Response,
    responses=refusals(SAMPLE_REFUSALS) | answers("application/octet-stream", FILE),
)
async def sample(request: Request, dataset: str, number: int) -> Response:
    """A sample image, in the encoding it was landed in."""
    predictor = backend_of(request).champions.choose(dataset)
    images = _shown(predictor)
    if not 0 <= number < len(images):
        message = f"dataset={dataset!r} has no sample {number}; /samples lists those there are."
        raise Problem(404, "unknown_sample", message)
    file = predictor.bundle.folder / images[number].file
    try:
        content = await asyncio.to_thread(file.read_bytes)
    except FileNotFoundError as error:  # erased since the model was loaded
        raise Problem(404, "unknown_sample", "This sample is no longer there.") from error
    return Response(content, media_type="application/octet-stream")


def _shown(predictor: Predictor) -> list[CanaryImage]:
    source = predictor.bundle.manifest.source
    return predictor.bundle.canary if source and source.licence in FREE else []


def _first_of_each_class(predictor: Predictor) -> list[int]:
    first: dict[str, int] = {}
    for number, image in enumerate(_shown(predictor)):
        first.setdefault(image.label, number)
    return list(first.values())


def _described(predictor: Predictor, number: int) -> Sample:
    manifest, image = predictor.bundle.manifest, _shown(predictor)[number]
    source = manifest.source
    assert source, "images without a licence are not shown"
    titles = {c.name: c.title for c in manifest.classes}
    return Sample(
        dataset=manifest.dataset,
        label=image.label,
        title=titles[image.label],
        file=image.file.rpartition("/")[2],
        url=f"/samples/{quote(manifest.dataset)}/{number}",
        synthetic=manifest.synthetic,
        credit=f"{source.origin} ({source.licence})",
    )
