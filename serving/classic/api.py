"""The classic web clients' API, answered by the same code: ``/api/health``, ``classes``,
``classify``.

These clients know nothing of abstention or review, so both are told in the texts they show.
"""

import time

from starlette.requests import Request
from starlette.responses import Response

from pipelines.evaluation import overlay
from pipelines.evaluation.attention import Attention
from pipelines.release.predictor import Predictor, Reading
from serving.classic.schemas import (
    ClassicAnalysis,
    ClassicClasses,
    ClassicHealth,
    ClassicPrediction,
    ClassicReply,
    ClassicVisualization,
)
from serving.endpoints import as_json, ask, backend_of, only, told, work_for
from serving.replies import data_uri
from serving.schemas import OverlayFields, PredictFields, Prediction

SEE_FIRST = "Have a qualified person see this case before anything is done about it."


async def health(request: Request) -> Response:
    """Whether the service is well, and has a model to answer with."""
    return as_json(ClassicHealth(model_loaded=bool(backend_of(request).champions.serving())))


async def classes(request: Request) -> Response:
    """The classes of the one data set that classic clients are answered for."""
    manifest = _predictor(request, None).bundle.manifest
    titles = {c.name: c.title for c in manifest.classes}
    return as_json(ClassicClasses(classes=list(titles), titles=titles))


async def classify(request: Request) -> Response:
    """Classify one image and explain the answer, as classic web clients expect it."""
    upload, fields = await ask(request, PredictFields)
    predictor = _predictor(request, fields.dataset)

    def look() -> tuple[Reading, ClassicVisualization, Attention | None]:
        reading = predictor.read(only(upload))
        shown = _pictures(predictor, reading)
        return reading, shown, predictor.attention(reading, reading.best)

    reading, shown, attention = await work_for(request, look)
    answer = told(request, predictor, reading)
    return as_json(
        ClassicReply(
            prediction=ClassicPrediction(
                class_name=answer.class_name, confidence=_percent(answer.confidence)
            ),
            probabilities={name: _percent(p) for name, p in answer.probabilities.items()},
            visualization=shown,
            analysis=_analysis(predictor, reading, answer=answer, attention=attention),
            processing_time=round(time.perf_counter() - request.state.began, 4),
        )
    )


def _predictor(request: Request, dataset: str | None) -> Predictor:
    backend = backend_of(request)
    return backend.champions.choose(dataset or backend.classic_dataset)


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
