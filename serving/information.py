"""What serves: classes, models, model cards, images to try it with; and figures for Prometheus."""

import asyncio
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pipelines.access.tokens import Role
from pipelines.release.bundle import CanaryImage
from pipelines.release.card.beside import beside
from pipelines.release.predictor import Predictor
from serving import metrics, replies
from serving.access.permissions import METRICS, PREDICT, GuardedRoute
from serving.context import Problem, context_of
from serving.image_request import as_json, backend_of
from serving.openapi import CARD_REFUSALS, FILE, SAMPLE_REFUSALS, answers, refusals
from serving.schemas import CardFields, ClassesReply, ModelReply, Sample, SamplesReply

CARD_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "frame-ancestors 'none'; form-action 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
"""The page brings its style and pictures along and asks for nothing else."""
FREE = ("CC0-1.0", "CC-BY-4.0")
"""Licences under which an image may be shown to whoever may ask for predictions."""
HTML = answers("text/html; charset=utf-8", {"type": "string"})

router = APIRouter(route_class=GuardedRoute)


@router.get("/classes", response_model=ClassesReply, dependencies=[PREDICT], responses=refusals())
async def classes(request: Request) -> Response:
    """Every served data set and the classes its model tells apart."""
    predictors = backend_of(request).champions.serving()
    return as_json(ClassesReply(datasets=[replies.classes_of(p) for p in predictors]))


@router.get("/model", response_model=ModelReply, dependencies=[PREDICT], responses=refusals())
async def model(request: Request) -> Response:
    """Which model answers for each data set, where it came from, and what was refused."""
    principal = context_of(request).principal
    may_upload = principal is not None and principal.role.includes(Role.UPLOAD)
    report = backend_of(request).champions.report()
    return as_json(report.model_copy(update={"may_upload": may_upload}))


@router.get(
    "/card",
    dependencies=[PREDICT],
    response_class=Response,
    responses=refusals(CARD_REFUSALS) | HTML,
)
async def card(request: Request, fields: Annotated[CardFields, Query()]) -> Response:
    """The model card of the version that answers: for whom, how good, and what is not known."""
    predictor = backend_of(request).champions.choose(fields.dataset)
    return HTMLResponse(await asyncio.to_thread(_read, predictor), headers=CARD_HEADERS)


@router.get("/metrics", dependencies=[METRICS], response_class=Response)
async def figures() -> Response:
    """Figures for Prometheus, of all workers together."""
    return Response(await asyncio.to_thread(metrics.exposed), media_type=metrics.MEDIA_TYPE)


@router.get("/samples", response_model=SamplesReply, dependencies=[PREDICT], responses=refusals())
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
    dependencies=[PREDICT],
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


def _read(predictor: Predictor) -> bytes:
    try:
        return beside(predictor.bundle.folder).read_bytes()
    except FileNotFoundError as error:
        dataset, version = predictor.dataset, predictor.version
        raise Problem(
            404,
            "no_card",
            f"There is no model card of {dataset}, version {version}, here: no gate has judged it, "
            f"or it was fetched before cards were kept. Run `medloop select {dataset}`, then "
            f"`medloop promote {dataset}`.",
        ) from error


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
