"""Rules on what else was found on a candidate: leaks, calibration, where it looks, what it reads.

A figure with an interval breaks its rule where the whole interval lies beyond the limit: these
rules refuse what is shown to be bad. What was not measured is not judged, and that is said.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pipelines.evaluation.intervals import Interval
from pipelines.evidence.finding import Finding
from pipelines.outputs import RuleResult
from pipelines.release.rule import at_least, at_most
from pipelines.spec import GateSpec


@dataclass(frozen=True)
class TrustRule:
    """A limit of the spec on one figure of the evidence."""

    limit: str
    """The field of `GateSpec`."""
    figure: str
    """``<kind>.<name>``."""
    holds: Literal["at least", "at most"]
    what: str
    """The figure, for a person."""
    means: str
    """What it means where the rule is broken, and what to do."""
    with_masks: bool = False
    """Whether it is judged only where masks came with the images."""


RULES = (
    TrustRule(
        "max_leaked",
        "leaks.share",
        "at most",
        "share of test images that training shows too",
        "It has been trained on test images, or on pictures of the same patients: its figures say "
        "nothing of new patients. The evidence 'leaks' names them; split and train again.",
    ),
    TrustRule(
        "min_inside_body",
        "attention.inside_body",
        "at least",
        "share of the heat on the body",
        "It looks beside the body, so it has learnt something of the pictures and not of the "
        "patients. Look at the heat maps; train with the body cropped or the background masked.",
    ),
    TrustRule(
        "min_pointing_game",
        "attention.pointing_game",
        "at least",
        "share of images whose hottest place lies in the lesion",
        "It does not look at the lesion. Look at the heat maps, and at what the classes share "
        "besides it.",
    ),
    TrustRule(
        "min_pointing_gain",
        "attention.pointing_gain",
        "at least",
        "pointing game above a map that knows nothing",
        "Its heat points at the lesion less often than chance would, so it looks at something "
        "else. Look at the heat maps, and at what the classes share besides the lesion.",
        with_masks=True,
    ),
    TrustRule(
        "min_faithfulness",
        "attention.faithfulness",
        "at least",
        "faithfulness of the heat (insertion less deletion, above random order)",
        "The hottest pixels matter less to its answers than any others, so the heat maps mislead. "
        "Serve this model without them, or choose another architecture.",
        with_masks=True,
    ),
    TrustRule(
        "max_sanity_correlation",
        "attention.sanity_correlation",
        "at most",
        "likeness of heat maps before and after the weights were made random",
        "The heat maps do not depend on what was learnt, so they explain nothing (Adebayo et al. "
        "2018). Serve this model's answers without them, or choose another architecture.",
    ),
    TrustRule(
        "max_background_kappa",
        "shortcuts.body_blanked_kappa",
        "at most",
        "agreement with its own answers where the body is blanked",
        "It gives the same answers without the body, so it reads them from marks, borders or "
        "background. Train with the body cropped or the background masked, or with the sources "
        "balanced.",
    ),
    TrustRule(
        "min_source_accuracy",
        "sources.worst_accuracy",
        "at least",
        "accuracy on the source that it is worst on",
        "It does not hold for images of every source. See the evidence 'sources'; add images like "
        "these, or say in the spec's limits what it is not for.",
    ),
)


def trust(gate: GateSpec, found: Mapping[str, Finding]) -> tuple[list[RuleResult], list[str]]:
    """Hold the evidence against its limits.

    Args:
        gate: the limits.
        found: kind → what it came to.

    Returns:
        The rules that could be judged, and a sentence for each that could not.
    """
    judged, unknown = [], []
    for rule in RULES:
        limit = getattr(gate, rule.limit)
        kind, _, name = rule.figure.partition(".")
        finding = found.get(kind)
        if limit is None:
            continue
        if rule.with_masks and "attention" in found and not _has_masks(found):
            unknown.append(f"Not judged, as no masks came with the images: {rule.what}.")
            continue
        if finding is None or name not in finding.figures:
            unknown.append(f"Not judged, as it was not measured: {rule.what} ({rule.figure}).")
            continue
        value, interval = finding.figures[name], finding.intervals.get(name)
        judged.append(_judge(rule, limit, value, interval))
    return judged, unknown


def _has_masks(found: Mapping[str, Finding]) -> bool:
    return "masks" in found["attention"].figures


def calibrated(limit: float | None, ece: float, interval: Interval) -> list[RuleResult]:
    """Whether probabilities mean what they say.

    Args:
        limit: largest expected calibration error; nothing is asked if ``None``.
        ece: after calibration, on the test set.
        interval: its 95 % interval.
    """
    if limit is None:
        return []
    rule = TrustRule(
        "max_ece",
        "ece",
        "at most",
        "calibration error of the test set",
        "Its probabilities do not mean what they say, so abstention and review go wrong too. "
        "Validation is unlike the test set, or too small: calibration is fitted there.",
    )
    return [_judge(rule, limit, ece, interval)]


def _judge(rule: TrustRule, limit: float, value: float, interval: Interval | None) -> RuleResult:
    low, high = interval or (value, value)
    text = f"{rule.what} is {rule.holds} {limit:g}"
    if rule.holds == "at least":
        return at_least(
            text, value, limit, interval=interval, judged=max(value, high), means=rule.means
        )
    return at_most(text, value, limit, interval=interval, judged=min(value, low), means=rule.means)
