"""The classic web clients' API, answered by the same code: ``/api/health``, ``classes``,
``classify``.

These clients know nothing of abstention or review, so both are told in the texts they show. Their
programs read exactly the fields of the models here.
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
from serving.asked import as_json, backend_of, received
from serving.describe import NO_CHAMPION, REFUSALS, form, refusals
from serving.replies import data_uri
from serving.schemas import ClassicError, OverlayFields, PredictFields, Prediction, Wire

router = APIRouter(route_class=GuardedRoute, prefix="/api")
SEE_FIRST = "Have a qualified person see this case before anything is done about it."
Percent = float


class ClassicPrediction(Wire):
    """The class decided for."""

    class_name: str = Field(alias="class")
    confidence: Percent


class ClassicVisualization(Wire):
    """Two PNG pictures of the same size, as data URIs."""

    original_image: str
    heatmap_overlay: str


class ClassicAnalysis(Wire):
    """The answer in words, for a person."""

    overview: str
    """What was found, how sure that is, and whether a person should see the case first."""
    description: str
    """About the class, and where the model looked."""
    recommendations: list[str]
    """What to do or bear in mind; the disclaimer is the last."""


class ClassicReply(Wire):
    """The answer of ``/api/classify``."""

    status: Literal["success"] = "success"
    prediction: ClassicPrediction
    probabilities: dict[str, Percent]
    visualization: ClassicVisualization
    analysis: ClassicAnalysis
    processing_time: float
    """Seconds."""


class ClassicClasses(Wire):
    """The classes of the data set that is answered for."""

    status: Literal["success"] = "success"
    classes: list[str]
    titles: dict[str, str]
    """Class → its name as a person reads it."""


class ClassicHealth(Wire):
    """Whether the service is well."""

    status: Literal["healthy"] = "healthy"
    model_loaded: bool


@router.get("/health", response_model=ClassicHealth, dependencies=[ANYBODY])
async def health(request: Request) -> Response:
    """Whether the service is well, and has a model to answer with."""
    return as_json(ClassicHealth(model_loaded=bool(backend_of(request).champions.serving())))


@router.get(
    "/classes",
    response_model=ClassicClasses,
    dependencies=[PREDICT],
    responses=refusals(NO_CHAMPION, shape=ClassicError),
)
async def classes(request: Request) -> Response:
    """The classes of the one data set that classic clients are answered for."""
    backend = backend_of(request)
    manifest = backend.champions.choose(backend.classic_dataset).bundle.manifest
    titles = {c.name: c.title for c in manifest.classes}
    return as_json(ClassicClasses(classes=list(titles), titles=titles))


@router.post(
    "/classify",
    response_model=ClassicReply,
    dependencies=[PREDICT],
    responses=refusals(REFUSALS, shape=ClassicError),
    openapi_extra=form(PredictFields, image_field="file"),
)
async def classify(request: Request, fields: Annotated[PredictFields, Query()]) -> Response:
    """Classify one image and explain the answer, as classic web clients expect it."""
    asked = await received(request, fields)
    predictor = asked.choose(asked.fields.dataset or asked.backend.classic_dataset)
    image = asked.image

    def look() -> tuple[Reading, ClassicVisualization, Attention | None]:
        reading = predictor.read(image)
        shown = _pictures(predictor, reading)
        return reading, shown, predictor.attention(reading, reading.best)

    reading, shown, attention = await asked.work(look)
    answer = asked.answered(predictor, reading)
    return as_json(
        ClassicReply(
            prediction=ClassicPrediction(
                class_name=answer.class_name, confidence=_percent(answer.confidence)
            ),
            probabilities={name: _percent(p) for name, p in answer.probabilities.items()},
            visualization=shown,
            analysis=_analysis(predictor, reading, answer=answer, attention=attention),
            processing_time=round(asked.context.seconds, 4),
        )
    )


def _pictures(predictor: Predictor, reading: Reading) -> ClassicVisualization:
    original = overlay.picture_alone(reading.picture)
    warm = predictor.overlay(reading, reading.best, opacity=OverlayFields().opacity)
    return ClassicVisualization(original_image=data_uri(original), heatmap_overlay=data_uri(warm))


def _analysis(
    predictor: Predictor, reading: Reading, *, answer: Prediction, attention: Attention | None
) -> ClassicAnalysis:
    decided = predictor.bundle.manifest.classes[reading.best]
    looked = attention.text if attention else "Nothing in the picture supports this class."
    first = [SEE_FIRST] if answer.review.needed else []
    return ClassicAnalysis(
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
