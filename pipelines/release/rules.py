"""The gate's rules: pure functions of figures and limits."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pipelines.outputs import RuleResult
from pipelines.spec import GateSpec, Metric, Precision

ROUNDING = 1e-9
"""A drop of exactly the margin passes, however its last binary digit falls."""


@dataclass(frozen=True)
class Evidence:
    """What the rules judge. Figures are named as by `pipelines.evaluation.metrics.measure`."""

    challenger: Mapping[str, float]
    """On all test images."""
    bundle_difference: float
    """Largest difference of a probability between bundle and Keras model."""
    precision: Precision
    """What the bundle calculates in."""
    bundle_loss: float
    """What the bundle has lost of the Keras model's accuracy on the test images."""
    champion: int | None
    """The version it is compared with."""
    challenger_compared: Mapping[str, float]
    """On the images it is compared on; a figure that is undefined there is left out."""
    champion_compared: Mapping[str, float]


def judge(gate: GateSpec, metric: Metric, evidence: Evidence) -> list[RuleResult]:
    """Hold figures against every rule.

    Args:
        gate: the limits.
        metric: what candidates are selected by.
        evidence: the figures.
    """
    return [*_minimums(gate, evidence), *_drops(gate, metric, evidence), _agreement(gate, evidence)]


def _minimums(gate: GateSpec, evidence: Evidence) -> Iterator[RuleResult]:
    for metric, limit in gate.minimum.items():
        yield _at_least(metric, evidence.challenger[metric], limit)
    for of, limit in gate.minimum_sensitivity.items():
        value = evidence.challenger[f"sensitivity.{of}"]
        yield _at_least(f"sensitivity of {of}", value, limit)


def _drops(gate: GateSpec, metric: Metric, evidence: Evidence) -> Iterator[RuleResult]:
    ours, theirs = evidence.challenger_compared, evidence.champion_compared
    for name in sorted(ours.keys() & theirs.keys()):
        measure, _, of = name.partition(".")
        drop = theirs[name] - ours[name]
        if name == metric:
            yield _drop(metric, drop, gate.max_metric_drop, champion=evidence.champion)
        elif measure == "sensitivity":
            limit = gate.max_sensitivity_drop
            yield _drop(f"sensitivity of {of}", drop, limit, champion=evidence.champion)


def _agreement(gate: GateSpec, evidence: Evidence) -> RuleResult:
    if evidence.precision != "f32":  # probabilities move; what matters is what is got wrong
        limit = gate.max_bundle_loss
        rule = (
            f"the {evidence.precision} bundle loses at most {limit:g} accuracy to the Keras model"
        )
        return _at_most(rule, evidence.bundle_loss, limit)
    rule = f"bundle and Keras model agree within {gate.bundle_tolerance:g}"
    return _at_most(rule, evidence.bundle_difference, gate.bundle_tolerance)


def _drop(what: str, drop: float, limit: float, *, champion: int | None) -> RuleResult:
    return _at_most(f"{what} is at most {limit:g} below version {champion}", drop, limit)


def _at_least(what: str, value: float, limit: float) -> RuleResult:
    rule = f"{what} is at least {limit:g}"
    return RuleResult(rule=rule, value=value, limit=limit, passed=value >= limit - ROUNDING)


def _at_most(rule: str, value: float, limit: float) -> RuleResult:
    return RuleResult(rule=rule, value=value, limit=limit, passed=value <= limit + ROUNDING)
