"""The service's questions and answers, as they go over the wire (and into the OpenAPI page)."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from pipelines.evaluation.abstention import Code
from pipelines.evaluation.attention import Where
from pipelines.evaluation.overlay import OPACITY

Probability = Annotated[float, Field(ge=0, le=1)]


class Wire(BaseModel):
    """A message: immutable, and closed to fields it does not know."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        protected_namespaces=(),
        use_attribute_docstrings=True,
    )


class CardFields(Wire):
    """What may stand in the query for a model card."""

    dataset: str | None = None
    """Whose; may be left out where only one data set is served."""


class PredictFields(Wire):
    """Text fields that go with an image; each may also stand in the query."""

    dataset: str | None = None
    """Which model to ask; may be left out where only one data set is served."""


class LandingFields(Wire):
    """Text fields that go with images for a landing folder; each may also stand in the query."""

    label: str | None = None
    """Class of all images of the request; left out, they wait in the folder `unlabelled`."""


class OverlayFields(PredictFields):
    """What an overlay should show."""

    target: str | None = None
    """The class to explain; the predicted one if left out."""
    opacity: Probability = OPACITY
    """How strongly the colours cover the image."""


class ExplainFields(OverlayFields):
    """What an explanation should hold."""

    original: bool = False
    """Whether the image comes along as it was decoded: no browser draws DICOM or TIFF."""


class Reason(Wire):
    """One reason for what an answer says of itself."""

    code: Code
    message: str


class Review(Wire):
    """Whether a person should see the case before anything is done about it."""

    needed: bool
    reasons: list[Reason]
    """A finding (or one that is not excluded), and whatever the model abstained for."""


class Prediction(Wire):
    """What one model says about one image."""

    dataset: str
    dataset_title: str
    model_version: int | None
    """Version in the registry; null for a bundle that has none yet."""
    class_name: str = Field(alias="class")
    title: str
    """The class's name as a person reads it."""
    finding: bool
    """Whether this class is a finding (not the healthy or unremarkable one)."""
    confidence: Probability
    """Calibrated probability of the class: of all answers of 0.8, about 80 % are right. Where
    thresholds decide, a finding may be the answer at a low one."""
    certainty: Probability
    """How clearly the class was decided for; below the data set's ``min_confidence`` the model
    abstains. The confidence itself where the likeliest class decides; 0.5 where two classes are
    equally far above their thresholds."""
    probabilities: dict[str, Probability]
    abstained: bool
    """Whether the answer should not be relied on: the model is not sure, the image shows too
    little, or it is unlike those the model learnt from."""
    abstained_because: list[Reason]
    review: Review
    synthetic: bool
    """Whether the model was trained on images drawn by a program."""
    disclaimer: str
    request_id: str


class ImageError(Wire):
    """Why one image of a batch was refused."""

    code: str
    message: str


class BatchItem(Wire):
    """One image's answer in a batch: a prediction, or why there is none."""

    prediction: Prediction | None = None
    error: ImageError | None = None


class OverlayItem(BatchItem):
    """One image's answer in a batch of overlays."""

    target: str | None = None
    """The class the overlay explains."""
    overlay: str | None = None
    """PNG as a data URI: the image with warm colours where the model looked."""


class BatchReply(Wire):
    """Answers in the order of the images."""

    results: list[BatchItem]
    request_id: str


class OverlayBatchReply(Wire):
    """Overlays in the order of the images."""

    results: list[OverlayItem]
    request_id: str


class LandingItem(Wire):
    """What became of one image for a landing folder."""

    file: str | None
    """Its name as it was sent; null if it came without."""
    status: Literal["accepted", "duplicate", "refused"]
    code: str | None
    """Why it was not accepted; null if it was."""
    message: str | None
    """The same for a person."""
    sha256: str | None
    """Of the image; null if it could not be opened."""


class UploadReply(Wire):
    """What became of the images, in their order."""

    dataset: str
    folder: str
    """Where they are, relative to the landing folder."""
    results: list[LandingItem]
    accepted: int
    """How many were written."""
    then: str
    """What becomes of them next, for a person."""
    request_id: str


class LandingLabel(Wire):
    """A label that an image may be sent with."""

    label: str
    title: str


class LandingDataset(Wire):
    """A data set whose landing folder takes images."""

    dataset: str
    title: str
    labels: list[LandingLabel]
    """Empty where labels come from a table; images may then be sent without a label only."""
    labels_from: str | None
    """That table's file; null where images may be sent with a label."""


class LandingReply(Wire):
    """Where images may be brought."""

    datasets: list[LandingDataset]


class AttentionPlace(Wire):
    """A ninth of the picture."""

    where: Where
    """Left and right are the picture's, not the patient's."""
    share: Probability
    """Of all the attention."""


class Attention(Wire):
    """Where in the picture the model found support for the target class."""

    text: str
    """The rest of this in words."""
    places: list[AttentionPlace]
    """Those that hold much of it, the strongest first; none if it is spread over the picture."""
    inside_body: Probability
    """Share of it on the body."""
    half_within: Probability
    """Least share of the picture that holds half of it: small if it is concentrated."""
    is_caution_needed: bool
    """Whether most of it is outside the body: the answer may rest on no anatomy."""


class Source(Wire):
    """Where a text's statements can be read up on."""

    title: str
    url: str


class Explanation(Wire):
    """A prediction with its reasons."""

    prediction: Prediction
    target: str
    """The class the overlay explains."""
    overlay: str
    """PNG as a data URI: the image with warm colours where the model looked."""
    original: str | None
    """PNG as a data URI: the image alone, of the overlay's size; null unless asked for."""
    attention: Attention | None
    """Null if nothing in the picture supports the target class."""
    about: str
    """Educational text on the target class."""
    recommendations: list[str]
    """What a reader should do or bear in mind."""
    sources: list[Source]
    """Where the educational text comes from."""


class Sample(Wire):
    """An image to try a model with."""

    dataset: str
    label: str
    """The class it is known to show."""
    title: str
    """The class's name as a person reads it."""
    file: str
    """A name for it."""
    url: str
    """Where it is, on this service."""
    synthetic: bool
    """Whether a program has drawn it."""
    credit: str
    """Where it comes from, and its licence."""


class SamplesReply(Wire):
    """Images to try the models with; one for each class."""

    samples: list[Sample]


class ClassInfo(Wire):
    """A class a model tells apart."""

    name: str
    title: str
    finding: bool
    about: str


class DatasetClasses(Wire):
    """The classes of one served data set."""

    dataset: str
    title: str
    synthetic: bool
    disclaimer: str
    classes: list[ClassInfo]


class ClassesReply(Wire):
    """Every served data set with its classes."""

    datasets: list[DatasetClasses]


class Collection(Wire):
    """Where the images came from that a model was trained on."""

    origin: str
    licence: str
    url: str | None


class ModelInfo(Wire):
    """The model that answers for a data set, and where it came from."""

    dataset: str
    title: str
    model_version: int | None
    run_id: str
    candidate: str
    snapshot: str
    split: str
    images: dict[str, int]
    """How many images it was trained on, validated and tested with; empty for old bundles."""
    source: Collection | None
    """Null for old bundles."""
    git_commit: str
    created_at: str
    """When the bundle was built: UTC, ISO 8601."""
    metrics: dict[str, float]
    """Figures on the test images."""
    temperature: float
    """What calibrates its probabilities; 1 leaves them as they are."""
    card: str | None
    """Address of its model card on this service; null if there is none."""
    runtime: str
    image_size: int
    """Pixels a side of what the model sees."""
    loaded_at: str
    """UTC, ISO 8601."""
    registry_note: str | None = None
    """How the registry differs from what serves here; null where it names this version."""


class Refusal(Wire):
    """A champion that was not taken over."""

    dataset: str
    model_version: int | None
    """Null if not even that can be told."""
    reason: str
    at: str
    """UTC, ISO 8601."""


class WorkerModel(Wire):
    """The model with which one worker answers for a data set."""

    dataset: str
    model_version: int | None
    loaded_at: str
    """UTC, ISO 8601."""


class WorkerInfo(Wire):
    """What one worker process serves."""

    pid: int
    models: list[WorkerModel]
    refused: list[Refusal]


class ModelReply(Wire):
    """What this process serves and how it stands with the registry."""

    models: list[ModelInfo]
    refused: list[Refusal]
    registry: Literal["following", "unreachable", "failing", "not asked yet", "pinned"]
    registry_detail: str | None
    """What is the matter with the registry, where something is."""
    pid: int
    workers: list[WorkerInfo]
    """Every worker process of this service, this one among them."""
    may_upload: bool = True
    """Whether whoever asks may bring images into the landing folders."""


class ErrorDetail(Wire):
    """What went wrong."""

    code: str
    message: str


class ErrorReply(Wire):
    """The one shape of every refusal."""

    error: ErrorDetail
    request_id: str


class LegacyError(Wire):
    """Every refusal on ``/api/…``."""

    status: Literal["error"] = "error"
    message: str
