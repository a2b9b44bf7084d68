"""Which models are trained, and what they may say."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipelines.spec.logistic import NO_NETWORK, LogisticSpec
from pipelines.spec.recipe import TrainingSpec
from pipelines.spec.relations import require_whole_ensemble
from pipelines.spec.section import Section, Share
from pipelines.spec.tuning import Setting, TuneSpec

CandidateName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=60)]

OPTION = "options."
"""What the names of settings begin with that are the model family's own."""
FIXED = (
    *("name", "model", "recipe", "optional", "weights", "without_weights"),
    *("logistic", "tune", "options", "members", "teachers"),
)
"""Fields that say which candidate it is, and are no settings."""
JUDGE = ("loss", "focal_gamma", "label_smoothing")
"""Fields that decide what the loss is by which trials are compared."""


class CandidateSpec(TrainingSpec):
    """One model to train and compare."""

    name: CandidateName
    model: str
    """Family in the model zoo (``efficientnet_lite0``, ``strided_cnn`` …)."""
    optional: bool = False
    """Trained only when it is asked for by name (``medloop retrain DATASET --candidate NAME``)."""
    weights: str | None = "imagenet"
    """``imagenet``, a path to weights, or null for random ones."""
    without_weights: Literal["skip", "scratch", "fail"] = "skip"
    """What to do where the weights of ``imagenet`` cannot be had. ``skip``: leave the candidate
    out, with a warning; it is an error only where no candidate is left. ``scratch``: train it from
    random weights, by recipe ``scratch``. ``fail``: stop."""
    input_size: int | None = Field(default=None, ge=32, le=1024)
    """Side to which the model itself resizes the prepared images; the family's own (150 for
    ``inception_v3``), or that of the images, if null."""
    options: dict[str, Setting] = Field(default={})
    """Settings that only this family has, as ``small_cnn`` its number of ``blocks``; see the
    arguments of ``build`` in ``pipelines/models/<family>.py``."""
    logistic: LogisticSpec | None = None
    """For recipe ``logistic``: which features, and how the regression fits; null for others."""
    members: tuple[CandidateName, ...] = ()
    """For recipe ``ensemble``: the candidates whose logits are averaged into one model."""
    teachers: tuple[CandidateName, ...] = ()
    """Candidates whose averaged answers to each training image, as augmented, are learned instead
    of its label, so that one small model knows what several do (Hinton et al. 2015, Beyer et al.
    2022)."""
    tune: TuneSpec | None = None
    """Search for the best settings first, on the validation split; none if null."""

    @property
    def others(self) -> tuple[str, ...]:
        """Names of the candidates that must be trained before this one."""
        return (*self.members, *self.teachers)

    @model_validator(mode="after")
    def _weights_fit_recipe(self) -> "CandidateSpec":
        if self.recipe in ("frozen", "finetune") and self.weights is None:
            raise ValueError(
                f"recipe '{self.recipe}' needs pretrained weights ('imagenet' or a path); "
                "use recipe 'scratch' to train from random ones"
            )
        if self.without_weights == "scratch" and self.recipe in ("logistic", "ensemble"):
            raise ValueError(
                f"without_weights 'scratch' means nothing with recipe '{self.recipe}', which "
                "trains no network; use 'skip' or 'fail'"
            )
        return self

    @model_validator(mode="after")
    def _ensemble_is_whole(self) -> "CandidateSpec":
        require_whole_ensemble(self)
        return self

    @model_validator(mode="after")
    def _regression_is_told(self) -> "CandidateSpec":
        if (self.recipe == "logistic") != (self.logistic is not None):
            raise ValueError(
                "recipe 'logistic' and the block 'logistic: {features: ...}' go together; "
                "write both or none"
            )
        if self.logistic is None:
            return self
        needs_network = self.logistic.features == "deep"
        if needs_network and (self.weights is None or self.model == NO_NETWORK):
            raise ValueError(
                "features 'deep' need the pretrained network that sees them: a model of the zoo "
                "with weights 'imagenet' or a path"
            )
        if not needs_network and self.model != NO_NETWORK:
            raise ValueError(
                f"features '{self.logistic.features}' use no network; write 'model: {NO_NETWORK}'"
            )
        self._require_plain_regression()
        return self

    def _require_plain_regression(self) -> None:
        """No option that only a network has."""
        plain = {"loss": "cross_entropy", "label_smoothing": 0, "augment": "none", "mixup": 0}
        for field, value in (plain | {"tune": None}).items():
            if getattr(self, field) != value:
                raise ValueError(f"{field} means nothing with recipe 'logistic'; leave it out")
        if self.balance not in ("none", "class_weights"):
            raise ValueError(
                f"balance '{self.balance}' means nothing with recipe 'logistic'; "
                "use 'class_weights' or 'none'"
            )

    @model_validator(mode="after")
    def _can_be_tuned(self) -> "CandidateSpec":
        if self.tune is None:
            return self
        self.shortened(self.tune.max_epochs)
        for name, values in (self.tune.space or {}).items():
            if name in JUDGE:
                raise ValueError(f"tune.space: trials are compared by what {name!r} decides")
            if not name.startswith(OPTION) and (
                name not in type(self).model_fields or name in FIXED
            ):
                raise ValueError(f"tune.space: {name!r} is no setting that can be tuned")
            for value in values.ends:
                self.with_settings({name: value})
        return self

    def shortened(self, most: int) -> "CandidateSpec":
        """The candidate with no phase of more than ``most`` epochs.

        Raises:
            ValueError: its other fields need more.
        """
        phases = ("epochs", "finetune_epochs")
        return self.with_settings({name: min(getattr(self, name), most) for name in phases})

    def with_settings(self, settings: Mapping[str, Setting]) -> "CandidateSpec":
        """The candidate with other settings, not to be tuned any more.

        Args:
            settings: field, or ``options.<name>`` → value.

        Raises:
            ValueError: they cannot go together.
        """
        told = self.model_dump(exclude={"tune"})
        for name, value in settings.items():
            if name.startswith(OPTION):
                told["options"] = {**told.get("options", {}), name.removeprefix(OPTION): value}
            else:
                told[name] = value
        return CandidateSpec.model_validate(told)


Metric = Literal[
    "accuracy", "macro_f1", "macro_sensitivity", "macro_specificity", "macro_auroc", "macro_auprc"
]


class AbstentionSpec(Section):
    """When an answer is marked as one that should not be relied on (``abstained``)."""

    min_confidence: Share = 0.6
    """Least certainty of the decision: the calibrated probability of the decided class, or, where
    thresholds decide, how clearly that class exceeds its threshold
    (docs/decisions/operating-point.md)."""
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
