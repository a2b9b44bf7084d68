"""Legacy API compatibility: ``/api/health``, ``classes``, ``classify``, answered by the same code.

Clients of this API do not know abstention or review, so the texts they show mention both. They
read exactly the fields of the models here.
"""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from pipelines.evaluation import overlay
from pipelines.evaluation.attention import Attention
from pipelines.release.predictor import Predictor, Reading
from serving.access.permissions import ANYBODY, PREDICT, GuardedRoute
from serving.image_request import as_json, backend_of, receive
from serving.openapi import NO_CHAMPION, REFUSALS, form, refusals
from serving.replies import data_uri
from serving.schemas import LegacyError, OverlayFields, PredictFields, Prediction, Wire

router = APIRouter(route_class=GuardedRoute, prefix="/api")
SEE_FIRST = "Have a qualified person see this case before anything is done about it."
Percent = float


class LegacyPrediction(Wire):
    """The class decided for."""

    class_name: str = Field(alias="class")
    confidence: Percent


class LegacyVisualization(Wire):
    """Two PNG pictures of the same size, as data URIs."""

    original_image: str
    heatmap_overlay: str


class LegacyAnalysis(Wire):
    """The answer in words, for a person."""

    overview: str
    """What was found, how sure that is, and whether a person should see the case first."""
    description: str
    """About the class, and where the model looked."""
    recommendations: list[str]
    """What to do or bear in mind; the disclaimer is the last."""


class LegacyReply(Wire):
    """The answer of ``/api/classify``."""

    status: Literal["success"] = "success"
    prediction: LegacyPrediction
    probabilities: dict[str, Percent]
    visualization: LegacyVisualization
    analysis: LegacyAnalysis
    processing_time: float
    """Seconds."""


class LegacyClasses(Wire):
    """The classes of the data set that is answered for."""

    status: Literal["success"] = "success"
    classes: list[str]
    titles: dict[str, str]
    """Class → its name as a person reads it."""


class LegacyHealth(Wire):
    """Whether the service is well."""

    status: Literal["healthy"] = "healthy"
    model_loaded: bool


@router.get("/health", response_model=LegacyHealth, dependencies=[ANYBODY])
async def health(request: Request) -> Response:
    """Whether the service is well, and has a model to answer with."""
    return as_json(LegacyHealth(model_loaded=bool(backend_of(request).champions.serving())))


@router.get(
    "/classes",
    response_model=LegacyClasses,
    dependencies=[PREDICT],
    responses=refusals(NO_CHAMPION, shape=LegacyError),
)
async def classes(request: Request) -> Response:
    """The classes of the one data set that this API answers for."""
    backend = backend_of(request)
    manifest = backend.champions.choose(backend.legacy_dataset).bundle.manifest
    titles = {c.name: c.title for c in manifest.classes}
    return as_json(LegacyClasses(classes=list(titles), titles=titles))


@router.post(
    "/classify",
    response_model=LegacyReply,
    dependencies=[PREDICT],
    responses=refusals(REFUSALS, shape=LegacyError),
    openapi_extra=form(PredictFields, image_field="file"),
)
async def classify(request: Request, fields: Annotated[PredictFields, Query()]) -> Response:
    """Classify one image and explain the answer, as clients of the legacy API expect it."""
    received = await receive(request, fields)
    predictor = received.choose(received.fields.dataset or received.backend.legacy_dataset)
    image = received.image

    def look() -> tuple[Reading, LegacyVisualization, Attention | None]:
        reading = predictor.read(image)
        shown = _pictures(predictor, reading)
        return reading, shown, predictor.attention(reading, reading.best)

    reading, shown, attention = await received.work(look)
    answer = received.answer(predictor, reading)
    return as_json(
        LegacyReply(
            prediction=LegacyPrediction(
                class_name=answer.class_name, confidence=_percent(answer.confidence)
            ),
            probabilities={name: _percent(p) for name, p in answer.probabilities.items()},
            visualization=shown,
            analysis=_analysis(predictor, reading, answer=answer, attention=attention),
            processing_time=round(received.context.seconds, 4),
        )
    )


def _pictures(predictor: Predictor, reading: Reading) -> LegacyVisualization:
    original = overlay.picture_alone(reading.picture)
    warm = predictor.overlay(reading, reading.best, opacity=OverlayFields().opacity)
    return LegacyVisualization(original_image=data_uri(original), heatmap_overlay=data_uri(warm))


def _analysis(
    predictor: Predictor, reading: Reading, *, answer: Prediction, attention: Attention | None
) -> LegacyAnalysis:
    decided = predictor.bundle.manifest.classes[reading.best]
    looked = attention.text if attention else "Nothing in the picture supports this class."
    first = [SEE_FIRST] if answer.review.needed else []
    return LegacyAnalysis(
        overview=_overview(answer),
        description=" ".join(filter(None, (decided.about, looked))),
        recommendations=[*first, *decided.recommendations, answer.disclaimer],
    )


def _overview(answer: Prediction) -> str:
    found = f"{answer.title}, with a confidence of {_percent(answer.confidence)}%."
    if answer.abstained:
        because = " ".join(reason.message for reason in answer.abstained_because)
        found = f"No answer to rely on. {because} The nearest class is {found}"
    elif answer.review.needed:
        because = " ".join(reason.message for reason in answer.review.reasons)
        found = f"{found} A person should see this case first. {because}"
    return f"{found} The model was trained on synthetic images." if answer.synthetic else found


def _percent(share: float) -> float:
    return round(100 * share, 1)
