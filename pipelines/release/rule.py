"""One rule: a number, its interval, a limit, and which of them decides."""

from pipelines.evaluation.intervals import Interval
from pipelines.outputs import RuleResult

ROUNDING = 1e-9
"""A drop of exactly the margin passes, however its last binary digit falls."""


def at_least(
    rule: str,
    value: float,
    limit: float,
    *,
    interval: Interval | None = None,
    judged: float | None = None,
    means: str = "",
) -> RuleResult:
    """A rule that is kept where a number is not below its limit.

    Args:
        rule: for a person.
        value: the figure.
        limit: what it is held against.
        interval: of the figure, where it has one.
        judged: the number that decides, such as a bound of the interval; the figure if ``None``.
        means: what it means where it is broken, and what to do.
    """
    low, high = interval or (None, None)
    passed = (value if judged is None else judged) >= limit - ROUNDING
    return RuleResult(
        rule=rule, value=value, limit=limit, passed=passed, low=low, high=high, means=means
    )


def at_most(
    rule: str,
    value: float,
    limit: float,
    *,
    interval: Interval | None = None,
    judged: float | None = None,
    means: str = "",
) -> RuleResult:
    """A rule that is kept where a number is not above its limit; see `at_least`."""
    low, high = interval or (None, None)
    passed = (value if judged is None else judged) <= limit + ROUNDING
    return RuleResult(
        rule=rule, value=value, limit=limit, passed=passed, low=low, high=high, means=means
    )
