"""What a ``datasets/*.yaml`` may say, loaded and checked in one place.

A spec is everything Medloop has to know of one kind of scan. Each section below is one block
of the YAML file; a field that is not listed here is an error, so a typing slip is never
silently ignored.
"""

import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pipelines.errors import SpecError
from pipelines.settings import get_settings

Share = Annotated[float, Field(ge=0, le=1)]
Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
CandidateName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=60)]


class Section(BaseModel):
    """A block of the file: immutable, and closed to fields it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceSpec(Section):
    """Where the images come from; kept in every snapshot's manifest."""

    origin: str
    """Who made the collection, and how it is cited."""
    licence: str
    consent: str
    """On what ground these images may be used (consent, waiver, public release)."""
    url: str | None = None


class TableSpec(Section):
    """A CSV file of labels beside the images."""

    file: str
    """The CSV, relative to the landing folder."""
    image: str
    """Path of a row's image, with columns in braces: ``images/{image_id}.jpg``."""
    label: str
    """Column that holds the label."""
    group: str | None = None
    """Column that holds the patient or lesion."""
    metadata: tuple[str, ...] = ()
    """Columns kept beside each image (never identifiers)."""


class LandingSpec(Section):
    """How a landing folder is laid out."""

    path: str | None = None
    """The folder; ``$MEDLOOP_HOME/landing/<dataset>`` if unset."""
    splits: dict[Literal["train", "test"], str] = {}
    """Folders of a split that comes with the collection; class folders stand inside them."""
    table: TableSpec | None = None
    """Labels from a CSV file; class folders are read if unset."""
    group_pattern: str | None = None
    """Regular expression with a group ``(?P<group>…)``, searched in the file name."""
    ignore: tuple[str, ...] = ()
    """Glob patterns, relative to the landing folder, of files that are not images to ingest."""

    @field_validator("group_pattern")
    @classmethod
    def _names_group(cls, pattern: str | None) -> str | None:
        if pattern is None:
            return None
        try:
            groups = re.compile(pattern).groupindex
        except re.error as error:
            raise ValueError(f"is not a regular expression: {error}") from error
        if "group" not in groups:
            raise ValueError("must hold a group named 'group': (?P<group>…)")
        return pattern


class ReferenceSpec(Section):
    """Where a text's statements can be read up on."""

    title: str
    url: Annotated[str, Field(pattern=r"^https://[^\s\"<>]+$")]


class ClassSpec(Section):
    """One class the model tells apart."""

    name: Slug
    title: str
    """The name a person reads."""
    labels: tuple[str, ...] = ()
    """Folder names or table values that mean this class; its own name if empty."""
    finding: bool = True
    """Whether this class is a finding (``False`` for the healthy or unremarkable class)."""
    about: str = ""
    """Two or three educational sentences, shown with an explanation."""
    recommendations: tuple[str, ...] = ()
    """What a reader should do or bear in mind, a sentence each; general and cautious."""
    sources: tuple[ReferenceSpec, ...] = ()
    """Where ``about`` comes from."""

    @property
    def landing_labels(self) -> tuple[str, ...]:
        """What this class is called in the landing folder."""
        return self.labels or (self.name,)


class ImageSpec(Section):
    """How a decoded picture becomes the model's square input."""

    size: int = Field(default=160, ge=32, le=1024, multiple_of=32)
    """Side in pixels."""
    resize: Literal["stretch", "pad"] = "stretch"
    """Change the aspect ratio, or keep it and pad with black."""
    crop: Literal["none", "body"] = "none"
    """Cut away the dark border around the body first, or not."""


class LimitsSpec(Section):
    """What is refused before it is decoded."""

    max_megabytes: float = Field(default=64, gt=0)
    max_megapixels: float = Field(default=50, gt=0)
    min_side: int = Field(default=32, ge=1)


class DuplicatesSpec(Section):
    """When two images are near duplicates: both hold (docs/decisions/near-duplicates.md)."""

    hash_distance: int = Field(default=12, ge=0, le=24)
    """Most differing bits of the 64-bit perceptual hashes."""
    correlation: float = Field(default=0.94, gt=0, le=1)
    """Least correlation of the two pictures, compared closely."""


class SplitSpec(Section):
    """How groups are divided."""

    validation: float = Field(default=0.15, gt=0, lt=0.5)
    test: float = Field(default=0.15, gt=0, lt=0.5)
    """Share of the test set where the collection has no test folder of its own."""
    seed: int = 17


class ChecksSpec(Section):
    """Tolerances of the expectation suites."""

    max_quarantined: Share = 0.02
    """Largest share of landed files that may be refused."""
    max_duplicates: Share = 0.25
    """Largest share of images that may be exact copies of another."""
    min_per_class: int = Field(default=30, ge=2)
    """Fewest images of a class in a snapshot."""
    max_imbalance: float = Field(default=20, ge=1)
    """Largest ratio of the largest class to the smallest."""


class CandidateSpec(Section):
    """One model to train and compare."""

    name: CandidateName
    model: str
    """Family in the model zoo (``efficientnet_lite0``, ``small_cnn`` …)."""
    recipe: Literal["frozen", "finetune", "scratch"]
    weights: str | None = "imagenet"
    """``imagenet``, a path to weights, or null for random ones."""
    epochs: int = Field(default=40, ge=1, le=1000)
    batch_size: int = Field(default=32, ge=1, le=1024)
    learning_rate: float = Field(default=1e-3, gt=0, le=1)
    finetune_epochs: int = Field(default=8, ge=1, le=1000)
    finetune_learning_rate: float = Field(default=1e-4, gt=0, le=1)
    finetune_layers: int | None = Field(default=None, ge=1)
    """How many of the backbone's last blocks learn in fine-tuning; all if null."""
    dropout: float = Field(default=0.5, ge=0, lt=1)
    patience: int = Field(default=6, ge=1)
    """Epochs without a better validation loss after which training stops."""
    augment: Literal["none", "light", "strong"] = "none"
    class_weights: bool = True

    @model_validator(mode="after")
    def _weights_fit_recipe(self) -> "CandidateSpec":
        if self.recipe in ("frozen", "finetune") and self.weights is None:
            raise ValueError(
                f"recipe '{self.recipe}' needs pretrained weights ('imagenet' or a path); "
                "use recipe 'scratch' to train from random ones"
            )
        if self.recipe == "frozen" and self.augment != "none":
            raise ValueError(
                "recipe 'frozen' computes features once, so it cannot augment; "
                "leave augment out, or use recipe 'finetune'"
            )
        return self


Metric = Literal[
    "accuracy", "macro_f1", "macro_sensitivity", "macro_specificity", "macro_auroc", "macro_auprc"
]


class GateSpec(Section):
    """The rules a challenger must pass on the leak-free test set before it may serve."""

    minimum: dict[Metric, Share] = {}
    """Least value of each named figure."""
    minimum_sensitivity: dict[str, Share] = {}
    """Least sensitivity of each named class."""
    max_sensitivity_drop: Share = 0.05
    """No class may lose more sensitivity than this against the champion on the same images."""
    max_metric_drop: Share = 0.01
    """Nor may the selection metric."""
    bundle_tolerance: float = Field(default=1e-3, gt=0)
    """Largest difference of a probability between bundle and Keras model, for ``f32``."""
    max_bundle_loss: Share = 0.005
    """Most accuracy that a bundle of less precision may lose against its Keras model: on
    validation images when it is built, and on the test set."""


class AbstentionSpec(Section):
    """When an answer is marked as one that should not be relied on (``abstained``)."""

    min_confidence: Share = 0.6
    """Least calibrated probability of the decided class."""
    min_contrast: float = Field(default=5, ge=0, le=128)
    """Least standard deviation of the image's shades, of 256."""
    min_side: int = Field(default=64, ge=1)
    """Fewest pixels of the image's shorter side."""
    false_alarms: float = Field(default=0.01, gt=0, lt=0.5)
    """Share of the validation images that may be taken for unlike the training images; it sets
    the distance in feature space above which an image is."""


class ReviewSpec(Section):
    """When an answer asks for a person to see the case first; findings and abstentions do."""

    possible_finding: Share = 0.2
    """Least probability of all findings together, where the decided class is none."""


Precision = Literal["f32", "bf16", "int8"]


class BundleSpec(Section):
    """How the served model calculates (docs/decisions/precision.md)."""

    precision: Precision = "f32"
    """``f32``: as trained. ``bf16``: 16-bit, on processors that have it. ``int8``: weights and
    activations as 8-bit integers; the fastest, and the furthest from the trained model."""


class SelectionSpec(Section):
    """How the best candidate is found (always on the validation split)."""

    metric: Metric = "macro_f1"


class DatasetSpec(Section):
    """One kind of scan."""

    name: Slug
    title: str
    synthetic: bool = False
    """Drawn by a program; said wherever the data set shows."""
    source: SourceSpec
    landing: LandingSpec = LandingSpec()
    classes: Annotated[tuple[ClassSpec, ...], Field(min_length=2, max_length=100)]
    image: ImageSpec = ImageSpec()
    limits: LimitsSpec = LimitsSpec()
    duplicates: DuplicatesSpec = DuplicatesSpec()
    split: SplitSpec = SplitSpec()
    checks: ChecksSpec = ChecksSpec()
    candidates: Annotated[tuple[CandidateSpec, ...], Field(min_length=1)]
    selection: SelectionSpec = SelectionSpec()
    gate: GateSpec = GateSpec()
    bundle: BundleSpec = BundleSpec()
    abstention: AbstentionSpec = AbstentionSpec()
    review: ReviewSpec = ReviewSpec()
    schedule: str | None = None
    """Cron expression or preset of the retraining DAG; by hand only if null."""
    disclaimer: str = (
        "For research and education. Not a medical device; not for diagnosis. "
        "A qualified person must read every image."
    )

    @model_validator(mode="after")
    def _names_agree(self) -> "DatasetSpec":
        _require_unique("classes.name", [c.name for c in self.classes])
        _require_unique("classes.labels", [x for c in self.classes for x in c.landing_labels])
        _require_unique("candidates.name", [c.name for c in self.candidates])
        unknown = sorted(set(self.gate.minimum_sensitivity) - set(self.class_names))
        if unknown:
            raise ValueError(
                f"gate.minimum_sensitivity names {unknown[0]!r}, which is no class; "
                f"the classes are {', '.join(self.class_names)}"
            )
        return self

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """The classes in the order of the model's outputs."""
        return tuple(c.name for c in self.classes)

    @cached_property
    def class_of_label(self) -> dict[str, str]:
        """Landing label → class."""
        return {label: c.name for c in self.classes for label in c.landing_labels}

    def candidate(self, name: str) -> CandidateSpec:
        """The candidate called ``name``.

        Raises:
            SpecError: there is none.
        """
        for candidate in self.candidates:
            if candidate.name == name:
                return candidate
        known = ", ".join(c.name for c in self.candidates)
        raise SpecError(f"{self.name} has no candidate {name!r}; it has {known}.")


def _require_unique(field: str, values: list[str]) -> None:
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise ValueError(f"{field} holds {twice[0]!r} twice; each may stand once")


def spec_names() -> list[str]:
    """Names of the data sets that have a file."""
    return sorted(path.stem for path in get_settings().datasets.glob("*.yaml"))


def load_spec(name: str) -> DatasetSpec:
    """Load ``datasets/<name>.yaml``.

    Raises:
        SpecError: there is no such file, or it says something it may not; the message names
            file, field, value and what is allowed.
    """
    path = get_settings().datasets / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(spec_names()) or "none yet"
        raise SpecError(f"There is no {path}. Data sets: {known}.")
    return read_spec(path)


def read_spec(path: Path) -> DatasetSpec:
    """Read and check one spec file; see `load_spec`."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise SpecError(f"{path} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise SpecError(f"{path} must hold fields (name: …, classes: …), not {content!r}.")
    try:
        spec = DatasetSpec.model_validate(content)
    except ValidationError as error:
        raise SpecError("\n".join(_explain(path, e) for e in error.errors())) from error
    if spec.name != path.stem:
        raise SpecError(f"{path}: name: {spec.name!r} must be the file's name, {path.stem!r}.")
    return spec


def _explain(path: Path, error: Any) -> str:
    field = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        allowed = ", ".join(_fields_beside(error["loc"]))
        return f"{path}: unknown field {field!r} (value {error['input']!r}); allowed: {allowed}."
    if error["type"] == "missing":
        return f"{path}: field {field!r} is missing."
    message = error["msg"].removeprefix("Value error, ")
    where = f"{field}: " if field else ""
    value = "" if isinstance(error["input"], dict) else f" (value {error['input']!r})"
    return f"{path}: {where}{message}{value}."


def _fields_beside(location: tuple[str | int, ...]) -> list[str]:
    """The fields a section knows, found by walking the models along an error's location."""
    model: Any = DatasetSpec
    for part in location[:-1]:
        if isinstance(part, str) and part in getattr(model, "model_fields", {}):
            model = _section_in(model.model_fields[part].annotation)
    return sorted(model.model_fields)


def _section_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    found = [_section_in(arg) for arg in getattr(annotation, "__args__", ())]
    return next((section for section in found if section is not None), None)
