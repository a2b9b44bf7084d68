"""The gate's rules, as a table of figures and what is decided on them."""

from typing import Any

import pytest

from pipelines.release.rules import Evidence, judge
from pipelines.spec import GateSpec, Precision

GATE = GateSpec(
    minimum={"accuracy": 0.8, "macro_auroc": 0.9},
    minimum_sensitivity={"glioma": 0.7},
    max_sensitivity_drop=0.05,
    max_metric_drop=0.01,
    bundle_tolerance=1e-3,
)
GOOD = {
    "accuracy": 0.85,
    "macro_auroc": 0.95,
    "macro_f1": 0.84,
    "sensitivity.glioma": 0.75,
    "sensitivity.other": 0.9,
    "precision.glioma": 0.1,
}


def evidence(
    *,
    champion: dict[str, float] | None = None,
    apart: float = 1e-6,
    precision: Precision = "f32",
    loss: float = 0,
    **figures: float,
) -> Evidence:
    """Good figures but for those named; beside a champion if its figures are given."""
    ours = GOOD | {name.replace("__", "."): value for name, value in figures.items()}
    return Evidence(
        challenger=ours,
        bundle_difference=apart,
        precision=precision,
        bundle_loss=loss,
        champion=None if champion is None else 4,
        challenger_compared={} if champion is None else ours,
        champion_compared={} if champion is None else GOOD | champion,
    )


CASES: dict[str, tuple[Evidence, list[str]]] = {
    "all is well": (evidence(), []),
    "exactly the minimum": (evidence(accuracy=0.8), []),
    "a figure too low": (evidence(accuracy=0.7999), ["accuracy is at least 0.8"]),
    "a class too low": (
        evidence(sensitivity__glioma=0.69),
        ["sensitivity of glioma is at least 0.7"],
    ),
    "as good as the champion": (evidence(champion={}), []),
    "better than the champion": (evidence(champion={"macro_f1": 0.1}), []),
    "a class drops by the margin": (evidence(champion={"sensitivity.other": 0.95}), []),
    "a class drops by more": (
        evidence(champion={"sensitivity.other": 0.951}),
        ["sensitivity of other is at most 0.05 below version 4"],
    ),
    "the metric drops by the margin": (evidence(champion={"macro_f1": 0.85}), []),
    "the metric drops by more": (
        evidence(champion={"macro_f1": 0.8501}),
        ["macro_f1 is at most 0.01 below version 4"],
    ),
    "what no rule names may drop": (evidence(champion={"precision.glioma": 0.9}), []),
    "the bundle is another model": (
        evidence(apart=0.002),
        ["bundle and Keras model agree within 0.001"],
    ),
    "of less precision, and other probabilities": (
        evidence(apart=0.2, precision="int8", loss=0.005),
        [],
    ),
    "of less precision, and worse": (
        evidence(precision="bf16", loss=0.0051),
        ["the bf16 bundle loses at most 0.005 accuracy to the Keras model"],
    ),
    "several at once": (
        evidence(accuracy=0.1, macro_auroc=0.2, apart=1.0),
        [
            "accuracy is at least 0.8",
            "macro_auroc is at least 0.9",
            "bundle and Keras model agree within 0.001",
        ],
    ),
}


@pytest.mark.parametrize(("figures", "broken"), CASES.values(), ids=CASES)
def test_each_rule_is_broken_by_what_it_forbids_and_nothing_else(
    figures: Evidence, broken: list[str]
) -> None:
    results = judge(GATE, "macro_f1", figures)

    assert [result.rule for result in results if not result.passed] == broken


def test_every_rule_says_its_number_and_its_limit() -> None:
    results = judge(GATE, "macro_f1", evidence(champion={"macro_f1": 0.86}))

    told: dict[str, Any] = {r.rule: (pytest.approx(r.value), r.limit) for r in results}
    assert told == {
        "accuracy is at least 0.8": (0.85, 0.8),
        "macro_auroc is at least 0.9": (0.95, 0.9),
        "sensitivity of glioma is at least 0.7": (0.75, 0.7),
        "macro_f1 is at most 0.01 below version 4": (0.02, 0.01),
        "sensitivity of glioma is at most 0.05 below version 4": (0.0, 0.05),
        "sensitivity of other is at most 0.05 below version 4": (0.0, 0.05),
        "bundle and Keras model agree within 0.001": (1e-6, 1e-3),
    }
