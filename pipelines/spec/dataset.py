"""One kind of scan: all blocks of a ``datasets/*.yaml`` together."""

from collections.abc import Iterable
from functools import cached_property
from typing import Annotated

from pydantic import Field, model_validator

from pipelines.errors import SpecError
from pipelines.spec.card import CardSpec
from pipelines.spec.data import (
    UNLABELLED,
    ChecksSpec,
    ClassSpec,
    DuplicatesSpec,
    ExternalSpec,
    ImageSpec,
    LandingSpec,
    LimitsSpec,
    SourceSpec,
    SplitSpec,
)
from pipelines.spec.gate import GateSpec
from pipelines.spec.models import (
    AbstentionSpec,
    BundleSpec,
    CandidateSpec,
    ReviewSpec,
    SelectionSpec,
)
from pipelines.spec.operating import OperatingSpec
from pipelines.spec.operations import (
    ApprovalSpec,
    AutoRollbackSpec,
    MonitorSpec,
    RetrainSpec,
)
from pipelines.spec.relations import require_earlier
from pipelines.spec.section import Section, Slug
from pipelines.spec.segmenter import SegmenterSpec


class DatasetSpec(Section):
    """One kind of scan."""

    name: Slug
    title: str
    synthetic: bool = False
    """Drawn by a program; said wherever the data set shows."""
    source: SourceSpec
    landing: LandingSpec = LandingSpec()
    classes: Annotated[tuple[ClassSpec, ...], Field(min_length=2, max_length=100)]
    external: tuple[ExternalSpec, ...] = ()
    """Collections from elsewhere to judge models by, and never to train them on."""
    image: ImageSpec = ImageSpec()
    limits: LimitsSpec = LimitsSpec()
    duplicates: DuplicatesSpec = DuplicatesSpec()
    split: SplitSpec = SplitSpec()
    checks: ChecksSpec = ChecksSpec()
    candidates: Annotated[tuple[CandidateSpec, ...], Field(min_length=1)]
    selection: SelectionSpec = SelectionSpec()
    operating: OperatingSpec = OperatingSpec()
    gate: GateSpec = GateSpec()
    bundle: BundleSpec = BundleSpec()
    abstention: AbstentionSpec = AbstentionSpec()
    review: ReviewSpec = ReviewSpec()
    retrain: RetrainSpec = RetrainSpec()
    approval: ApprovalSpec | None = None
    """Ask a person between the gate and the promotion; nobody is asked if null."""
    auto_rollback: AutoRollbackSpec | None = AutoRollbackSpec()
    """When a promoted version gives way to the one before by itself; never if null."""
    monitor: MonitorSpec = MonitorSpec()
    segmenter: SegmenterSpec = SegmenterSpec()
    """How `medloop segment` trains a network to find lesions, where masks came."""
    card: CardSpec = CardSpec()
    disclaimer: str = (
        "For research and education. Not a medical device; not for diagnosis. "
        "A qualified person must read every image."
    )

    @model_validator(mode="after")
    def _names_agree(self) -> "DatasetSpec":
        _require_unique("classes.name", [c.name for c in self.classes])
        _require_unique("classes.labels", [x for c in self.classes for x in c.landing_labels])
        _require_unique("candidates.name", [c.name for c in self.candidates])
        _require_unique("external.name", [e.name for e in self.external])
        for external in self.external:
            _require_known(f"external.{external.name}.labels", external.labels, self.class_names)
        if not self.landing.table:
            folders = (*self.class_of_label, *self.landing.split_of_folder)
            _require_not_reserved("classes.labels or landing.splits", folders)
        require_earlier(self.candidates)
        if not self.usual_candidates:
            raise ValueError("candidates are all optional; one at least must be trained as a rule")
        _require_known("gate.minimum_sensitivity", self.gate.minimum_sensitivity, self.class_names)
        return self

    @model_validator(mode="after")
    def _findings_can_be_asked_for(self) -> "DatasetSpec":
        if "any_finding" in self.class_names:
            raise ValueError("classes.name holds 'any_finding', which means all findings")
        one_kind = len(self.findings) in (0, len(self.classes))
        if self.operating.needs_both_kinds and one_kind:
            raise ValueError(
                f"operating.{self.operating.chosen[0]} needs classes of both kinds: with 'finding: "
                "true' and with 'finding: false'"
            )
        limits = self.operating.thresholds
        if limits is not None:
            _require_known("operating.thresholds", limits, self.class_names)
            missing = [name for name in self.class_names if name not in limits]
            if missing:
                raise ValueError(
                    f"operating.thresholds has no threshold for {missing[0]!r}; give one for each "
                    f"of {', '.join(self.class_names)}"
                )
        return self

    @model_validator(mode="after")
    def _lesions_can_be_found(self) -> "DatasetSpec":
        if self.image.crop == "lesion" and self.landing.masks is None:
            raise ValueError(
                "image.crop: lesion needs masks to learn from; say where they stand "
                "(landing.masks: masks/{stem}.png), or crop to the body, or not at all"
            )
        return self

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """The classes in the order of the model's outputs."""
        return tuple(c.name for c in self.classes)

    @cached_property
    def findings(self) -> tuple[str, ...]:
        """Names of the classes that are findings."""
        return tuple(c.name for c in self.classes if c.finding)

    @cached_property
    def class_of_label(self) -> dict[str, str]:
        """Landing label → class."""
        return {label: c.name for c in self.classes for label in c.landing_labels}

    @cached_property
    def usual_candidates(self) -> list[str]:
        """Names of the candidates that are trained unless others are asked for."""
        return [c.name for c in self.candidates if not c.optional]

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


def _require_known(field: str, names: Iterable[str], classes: tuple[str, ...]) -> None:
    unknown = sorted(set(names) - set(classes))
    if unknown:
        raise ValueError(
            f"{field} names {unknown[0]!r}, which is not a class; the classes are "
            f"{', '.join(classes)}"
        )


def _require_not_reserved(field: str, folders: Iterable[str]) -> None:
    if UNLABELLED in folders:
        raise ValueError(
            f"{field} holds {UNLABELLED!r}, the folder of images without a label, which is never "
            "landed; call it otherwise"
        )


def _require_unique(field: str, values: list[str]) -> None:
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise ValueError(f"{field} holds {twice[0]!r} twice; each may stand once")
