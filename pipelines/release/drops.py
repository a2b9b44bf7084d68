"""Whether a challenger is worse than a champion (docs/decisions/gate.md)."""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pipelines.evaluation.intervals import Interval
from pipelines.evaluation.paired import Difference
from pipelines.outputs import RuleResult
from pipelines.release.rule import ROUNDING, at_most
from pipelines.spec import GateSpec, Metric
from pipelines.spec.gate import Worse

Z_INTERVAL, Z_CHANCE = 1.96, 1.645
"""Standard errors in half of a 95 % interval; those that chance explains (one-sided, 95 %)."""
UNSEEN = 3.69
"""If none of n images was lost, a loss of up to 3.69 / n is not excluded (one-sided, 97.5 %)."""

PHRASES: dict[Worse, str] = {
    "auto": "{what} is at most {limit:g} below {beside}, as far as this test set can tell",
    "point": "{what} is at most {limit:g} below {beside}",
    "shown": "{what} is not shown to be more than {limit:g} below {beside}",
    "not_excluded": "{what} is shown to be at most {limit:g} below {beside}",
}
MEANS: dict[Worse, str] = {
    "auto": "It is worse by more than the margin and by more than chance explains.",
    "point": "It is worse.",
    "shown": "It is worse, and chance does not explain it.",
    "not_excluded": (
        "That it is worse by more than the margin cannot be excluded: either it is, or the test "
        "set is too small to tell."
    ),
}


class Limits(NamedTuple):
    """The margin of a figure, and how it is read."""

    margin: float
    reading: Worse
    allowance: float = 0.0
    """For ``auto``: see `GateSpec.small_test_allowance`."""


def drops(
    gate: GateSpec,
    metric: Metric,
    differences: Mapping[str, Difference],
    *,
    independent: Mapping[str, int],
    beside: str,
) -> Iterator[RuleResult]:
    """The selection metric and each class's sensitivity, against another version's.

    Args:
        gate: margins, and when a drop counts.
        metric: what candidates are selected by.
        differences: figure → challenger less the other, on the same images.
        independent: figure → how many patients or lesions it rests on.
        beside: the other version, for a person.
    """
    for name in sorted(differences):
        measure, _, of = name.partition(".")
        if name == metric:
            what, margin = str(metric), gate.max_metric_drop
        elif measure == "sensitivity":
            what, margin = f"sensitivity of {of}", gate.max_sensitivity_drop
        else:
            continue
        limits, images = limits_of(gate, margin), independent.get(name, 0)
        yield drop(what, differences[name], limits, independent=images, beside=beside)


def limits_of(gate: GateSpec, margin: float) -> Limits:
    """A margin of the spec, read as the spec says."""
    return Limits(margin, gate.worse_when, gate.small_test_allowance)


def drop(
    what: str, difference: Difference, limits: Limits, *, independent: int, beside: str
) -> RuleResult:
    """One figure against another version's; the value of the rule is by how much it is lower.

    Args:
        what: the figure, for a person.
        difference: challenger less the other.
        limits: the margin.
        independent: how many patients or lesions the figure rests on.
        beside: the other version, for a person.
    """
    value = 0.0 - difference.value
    interval = Interval(0.0 - difference.high, 0.0 - difference.low)
    margin, reading, note = limits.margin, limits.reading, ""
    limit = margin
    if reading == "auto":
        if large_enough(interval, margin, independent):
            reading = "not_excluded"
        else:
            limit = _bound(interval, limits)
            note = _too_small(what, interval, margin, limit=limit, independent=independent)
    rule = at_most(
        PHRASES[reading].format(what=what, limit=margin, beside=beside),
        value,
        limit,
        interval=interval,
        judged=_judged(reading, value, interval, limit),
        means=MEANS[reading],
    )
    return rule.model_copy(update={"note": note})


def large_enough(interval: Interval, margin: float, independent: int) -> bool:
    """Whether a test set can tell a drop of the margin from none.

    Of two equal models, one is then refused by chance in at most 2.5 % of cases. An interval that
    a few equal answers have made too narrow does not count.
    """
    narrow = interval.high - interval.low <= margin + ROUNDING
    return narrow and independent * margin >= UNSEEN


def _bound(interval: Interval, limits: Limits) -> float:
    """The largest drop that passes where the test set is too small to tell."""
    error = (interval.high - interval.low) / (2 * Z_INTERVAL)
    return min(max(limits.margin, Z_CHANCE * error), limits.margin + limits.allowance)


def _too_small(
    what: str, interval: Interval, margin: float, *, limit: float, independent: int
) -> str:
    told = f"The test set is too small to tell whether {what} dropped by more than {margin:g}"
    if not independent or not margin:
        return f"{told}; a drop of up to {limit:.3g} passes."
    wanted = max(UNSEEN / margin, independent * ((interval.high - interval.low) / margin) ** 2)
    digits = 1 - math.floor(math.log10(wanted))
    about = f"{round(wanted, digits):,.0f}"
    return (
        f"{told}: {independent:,} independent images, about {about} needed; "
        f"a drop of up to {limit:.3g} passes."
    )


def _judged(when: Worse, value: float, interval: Interval, limit: float) -> float:
    """The number that decides."""
    if when == "not_excluded":
        return interval.high
    if when == "shown" and interval.low <= ROUNDING:
        return min(value, limit)  # that both are equal is not excluded
    return value
