"""Explanations, classes and models in the words of the service's answers."""

import base64
from dataclasses import dataclass
from urllib.parse import urlencode

from pipelines.evaluation.attention import Attention as Located
from pipelines.release.card.beside import beside
from pipelines.release.predictor import Predictor
from serving.schemas import (
    Attention,
    AttentionPlace,
    ClassInfo,
    Collection,
    DatasetClasses,
    Explanation,
    ModelInfo,
    Prediction,
    Source,
)


@dataclass(frozen=True)
class Drawn:
    """What was drawn to explain a class."""

    shown: int
    """The class."""
    overlay: str
    """As a data URI, like ``original``."""
    original: str | None
    attention: Located | None


def explanation(predictor: Predictor, answer: Prediction, drawn: Drawn) -> Explanation:
    """A prediction with its overlay and the texts on the class that was explained."""
    explained = predictor.bundle.manifest.classes[drawn.shown]
    return Explanation(
        prediction=answer,
        target=explained.name,
        overlay=drawn.overlay,
        original=drawn.original,
        attention=_attention(drawn.attention) if drawn.attention else None,
        about=explained.about,
        recommendations=list(explained.recommendations),
        sources=[Source(title=source.title, url=source.url) for source in explained.sources],
    )


def _attention(located: Located) -> Attention:
    return Attention(
        text=located.text,
        places=[AttentionPlace(where=p.where, share=min(1, p.share)) for p in located.places],
        inside_body=min(1, located.inside_body),
        half_within=located.half_within,
        is_caution_needed=located.is_caution_needed,
    )


def overlay_headers(answer: Prediction, target: str) -> dict[str, str]:
    """What an overlay shows, as HTTP headers beside the picture."""
    return {
        "X-Medloop-Dataset": answer.dataset,
        "X-Medloop-Model-Version": str(answer.model_version or "unregistered"),
        "X-Medloop-Class": answer.class_name,
        "X-Medloop-Confidence": f"{answer.confidence:.6f}",
        "X-Medloop-Abstained": str(answer.abstained).lower(),
        "X-Medloop-Review": str(answer.review.needed).lower(),
        "X-Medloop-Target": target,
        "X-Medloop-Synthetic": str(answer.synthetic).lower(),
    }


def data_uri(png: bytes) -> str:
    """A PNG as an address that a page can show."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def classes_of(predictor: Predictor) -> DatasetClasses:
    """The classes a model tells apart."""
    manifest = predictor.bundle.manifest
    return DatasetClasses(
        dataset=manifest.dataset,
        title=manifest.title,
        synthetic=manifest.synthetic,
        disclaimer=manifest.disclaimer,
        classes=[
            ClassInfo(name=c.name, title=c.title, finding=c.finding, about=c.about)
            for c in manifest.classes
        ],
    )


def model_info(predictor: Predictor, *, registry_note: str | None = None) -> ModelInfo:
    """A model, where it came from, and how the registry differs from it."""
    manifest = predictor.bundle.manifest
    source = manifest.source
    return ModelInfo(
        dataset=manifest.dataset,
        title=manifest.title,
        model_version=predictor.version,
        run_id=manifest.run_id,
        candidate=manifest.candidate,
        snapshot=manifest.snapshot,
        split=manifest.split,
        images=dict(manifest.images),
        source=source and Collection(origin=source.origin, licence=source.licence, url=source.url),
        git_commit=manifest.git_commit,
        created_at=manifest.created_at,
        metrics=manifest.metrics,
        temperature=manifest.temperature,
        card=_card(predictor),
        runtime=predictor.runtime_name,
        image_size=manifest.image.size,
        loaded_at=predictor.loaded_at,
        registry_note=registry_note,
    )


def _card(predictor: Predictor) -> str | None:
    if not beside(predictor.bundle.folder).is_file():
        return None
    return "/card?" + urlencode({"dataset": predictor.dataset})
