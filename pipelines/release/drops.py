"""When a challenger is worse than the champion: pure functions of differences and margins."""

from collections.abc import Iterator, Mapping

from pipelines.evaluation.intervals import Interval
from pipelines.evaluation.paired import Difference
from pipelines.outputs import RuleResult
from pipelines.release.rule import ROUNDING, at_most
from pipelines.spec import GateSpec, Metric
from pipelines.spec.gate import Worse

PHRASES: dict[Worse, str] = {
    "point": "{what} is at most {limit:g} below version {champion}",
    "shown": "{what} is not shown to be more than {limit:g} below version {champion}",
    "not_excluded": "{what} is shown to be at most {limit:g} below version {champion}",
}
MEANS: dict[Worse, str] = {
    "point": "It is worse than what serves.",
    "shown": "It is worse than what serves, and chance does not explain it.",
    "not_excluded": (
        "That it is worse than what serves by more than the margin cannot be excluded: either it "
        "is, or the test set is too small to tell."
    ),
}


def drops(
    gate: GateSpec, metric: Metric, differences: Mapping[str, Difference], *, champion: int
) -> Iterator[RuleResult]:
    """The selection metric and each class's sensitivity, against the champion's.

    Args:
        gate: margins, and when a drop counts.
        metric: what candidates are selected by.
        differences: figure → challenger less champion, on the same images.
        champion: the version it is compared with.
    """
    for name in sorted(differences):
        measure, _, of = name.partition(".")
        if name == metric:
            yield drop(metric, differences[name], gate.max_metric_drop, gate=gate, beside=champion)
        elif measure == "sensitivity":
            what, limit = f"sensitivity of {of}", gate.max_sensitivity_drop
            yield drop(what, differences[name], limit, gate=gate, beside=champion)


def drop(
    what: str, difference: Difference, limit: float, *, gate: GateSpec, beside: int
) -> RuleResult:
    """One figure against the champion's; the value of the rule is by how much it is lower."""
    value = 0.0 - difference.value
    interval = Interval(0.0 - difference.high, 0.0 - difference.low)
    return at_most(
        PHRASES[gate.worse_when].format(what=what, limit=limit, champion=beside),
        value,
        limit,
        interval=interval,
        judged=_judged(gate.worse_when, value, interval, limit),
        means=MEANS[gate.worse_when],
    )


def _judged(when: Worse, value: float, interval: Interval, limit: float) -> float:
    """The number that decides."""
    if when == "not_excluded":
        return interval.high
    if when == "shown" and interval.low <= ROUNDING:
        return min(value, limit)  # that both are equal is not excluded
    return value
