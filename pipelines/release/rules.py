"""The gate's rules: pure functions of figures, intervals and limits."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pipelines.evaluation.intervals import Interval
from pipelines.evaluation.paired import Difference
from pipelines.evidence.finding import Finding
from pipelines.outputs import RuleResult
from pipelines.release.drops import drop, drops, limits_of
from pipelines.release.rule import at_least, at_most
from pipelines.release.trust_rules import calibrated, trust
from pipelines.spec import GateSpec, Metric, Precision

LOST = (
    "It hardly tells this class from the others, whatever its overall figures. Look at the "
    "confusion matrix; add images of the class, weigh the classes, or sample them evenly."
)
ELSEWHERE = (
    "Its run names another training set as its training data, so nobody knows what of this test "
    "set it has seen. Train it again on today's."
)


@dataclass(frozen=True)
class Subgroup:
    """Challenger beside another version on a part of the test set."""

    name: str
    """For a person: ``sex female``."""
    images: int
    difference: Difference
    """Of the accuracy: challenger less the other."""
    independent: int = 0
    """How many patients or lesions it rests on."""


@dataclass(frozen=True)
class Reference:
    """A version that the challenger must not be worse than."""

    name: str
    """For a person: ``version 4``."""
    differences: Mapping[str, Difference]
    """Figure → challenger less this version, on the images they are compared on."""
    independent: Mapping[str, int] = field(default_factory=dict)
    """Figure → how many patients or lesions it rests on."""
    subgroups: tuple[Subgroup, ...] = ()
    """Those large enough to judge."""


@dataclass(frozen=True)
class Evidence:
    """What the rules judge. Figures are named as by `pipelines.evaluation.metrics.measure`."""

    classes: tuple[str, ...]
    challenger: Mapping[str, float]
    """On all test images."""
    intervals: Mapping[str, Interval]
    """Of the same."""
    bundle_difference: float
    """Largest difference of a probability between bundle and Keras model."""
    precision: Precision
    """What the bundle calculates in."""
    bundle_loss: float
    """What the bundle has lost of the Keras model's accuracy on the test images."""
    references: tuple[Reference, ...] = ()
    """The champion, and the best champion so far."""
    found: Mapping[str, Finding] = field(default_factory=dict)
    """Kind of evidence → what it came to."""
    same_images: bool = True
    """Whether the run was trained on the training set that it is judged on."""


def judge(gate: GateSpec, metric: Metric, evidence: Evidence) -> tuple[list[RuleResult], list[str]]:
    """Hold figures against every rule.

    Args:
        gate: the limits.
        metric: what candidates are selected by.
        evidence: the figures.

    Returns:
        Every rule that could be judged, and a sentence for each that could not.
    """
    on_trust, unknown = trust(gate, evidence.found)
    rules = [
        *_minimums(gate, evidence),
        *_kept(gate, evidence),
        *_beside_each(gate, metric, evidence.references),
        *calibrated(gate.max_ece, evidence.challenger["ece"], evidence.intervals["ece"]),
        *on_trust,
        *_elsewhere(evidence),
        _agreement(gate, evidence),
    ]
    return rules, unknown


def _minimums(gate: GateSpec, evidence: Evidence) -> Iterator[RuleResult]:
    named = {metric: (metric, limit) for metric, limit in gate.minimum.items()}
    limits: dict[str, tuple[str, float]] = {**named} | {
        f"sensitivity.{of}": (f"sensitivity of {of}", limit)
        for of, limit in gate.minimum_sensitivity.items()
    }
    for name, (what, limit) in limits.items():
        value, interval = evidence.challenger[name], evidence.intervals.get(name)
        yield at_least(f"{what} is at least {limit:g}", value, limit, interval=interval)


def _kept(gate: GateSpec, evidence: Evidence) -> Iterator[RuleResult]:
    """Informedness of each class (Powers 2011); its interval is made of those of its parts, and so
    rather too wide."""
    limit = gate.min_informedness
    if limit is None:
        return
    for of in evidence.classes:
        parts = (f"sensitivity.{of}", f"specificity.{of}")
        bounds = [evidence.intervals[part] for part in parts]
        low, high = (sum(ends) - 1 for ends in zip(*bounds, strict=True))
        value = sum(evidence.challenger[part] for part in parts) - 1
        rule = f"informedness of {of} is at least {limit:g}, and surely above 0"
        judged = value if low > 0 else min(value, low)
        yield at_least(rule, value, limit, interval=Interval(low, high), judged=judged, means=LOST)


def _beside_each(
    gate: GateSpec, metric: Metric, references: Sequence[Reference]
) -> Iterator[RuleResult]:
    """Against each version; what the test set cannot tell is noted once."""
    for index, reference in enumerate(references):
        for rule in _beside(gate, metric, reference):
            yield rule if index == 0 else rule.model_copy(update={"note": ""})


def _beside(gate: GateSpec, metric: Metric, reference: Reference) -> Iterator[RuleResult]:
    yield from drops(
        gate,
        metric,
        reference.differences,
        independent=reference.independent,
        beside=reference.name,
    )
    if gate.max_subgroup_drop is None:
        return
    limits = limits_of(gate, gate.max_subgroup_drop)
    for part in reference.subgroups:
        yield drop(
            f"accuracy of {part.name}",
            part.difference,
            limits,
            independent=part.independent,
            beside=reference.name,
        )


def _elsewhere(evidence: Evidence) -> Iterator[RuleResult]:
    if not evidence.same_images:
        rule = "it was trained on the training set that it is judged on"
        yield at_most(rule, 1.0, 0.0, means=ELSEWHERE)


def _agreement(gate: GateSpec, evidence: Evidence) -> RuleResult:
    if evidence.precision != "f32":  # probabilities move; what matters is what is got wrong
        limit = gate.max_bundle_loss
        rule = (
            f"the {evidence.precision} bundle loses at most {limit:g} accuracy to the Keras model"
        )
        return at_most(rule, evidence.bundle_loss, limit)
    rule = f"bundle and Keras model agree within {gate.bundle_tolerance:g}"
    return at_most(rule, evidence.bundle_difference, gate.bundle_tolerance)
