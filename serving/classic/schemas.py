"""What classic web clients are answered; their programs read exactly these fields."""

from typing import Literal

from pydantic import Field

from serving.schemas import Wire

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


class ClassicError(Wire):
    """Every refusal on ``/api/…``."""

    status: Literal["error"] = "error"
    message: str
