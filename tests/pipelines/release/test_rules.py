"""The gate's rules, as a table of figures and what is decided on them."""

from typing import Any

import pytest

from pipelines.evaluation.intervals import Interval
from pipelines.evaluation.paired import Difference
from pipelines.evidence.finding import Finding
from pipelines.release.rules import Evidence, Reference, Subgroup, judge
from pipelines.spec import GateSpec, Precision

GATE = GateSpec(
    minimum={"accuracy": 0.8, "macro_auroc": 0.9},
    minimum_sensitivity={"glioma": 0.7},
    max_sensitivity_drop=0.05,
    max_metric_drop=0.01,
    max_subgroup_drop=0.1,
    min_informedness=0.1,
    max_ece=0.1,
    bundle_tolerance=1e-3,
    worse_when="shown",
    min_pointing_game=0.8,
    min_source_accuracy=0.6,
)
GOOD = {
    "accuracy": 0.85,
    "macro_auroc": 0.95,
    "macro_f1": 0.84,
    "sensitivity.glioma": 0.75,
    "sensitivity.other": 0.9,
    "specificity.glioma": 0.9,
    "specificity.other": 0.75,
    "precision.glioma": 0.1,
    "ece": 0.03,
}
LARGE = dict.fromkeys(GOOD, 5000)
"""Figure → independent images."""


def around(value: float, width: float = 0.05) -> Interval:
    return Interval(value - width, value + width)


def worse(by: float, width: float = 0.001) -> Difference:
    """A figure that is lower by so much, give or take."""
    return Difference(-by, -by - width, -by + width, p=0.01)


def evidence(
    *,
    champion: dict[str, Difference] | None = None,
    apart: float = 1e-6,
    precision: Precision = "f32",
    loss: float = 0,
    subgroups: tuple[Subgroup, ...] = (),
    found: dict[str, Finding] | None = None,
    same_images: bool = True,
    width: float = 0.05,
    **figures: float,
) -> Evidence:
    """Good figures but for those named; beside a champion if the differences to it are given."""
    ours = GOOD | {name.replace("__", "."): value for name, value in figures.items()}
    equal = dict.fromkeys(ours, Difference(0, -0.02, 0.02, 1))
    four = Reference("version 4", equal | (champion or {}), LARGE, subgroups)
    return Evidence(
        classes=("glioma", "other"),
        challenger=ours,
        intervals={name: around(value, width) for name, value in ours.items()},
        bundle_difference=apart,
        precision=precision,
        bundle_loss=loss,
        references=() if champion is None else (four,),
        found=found or {},
        same_images=same_images,
    )


def finding(name: str, value: float, interval: Interval | None = None) -> Finding:
    bounds = {} if interval is None else {name: interval}
    return Finding(title="", about="", figures={name: value}, intervals=bounds)


WIDE = worse(0.2, width=0.3)
CASES: dict[str, tuple[Evidence, list[str]]] = {
    "all is well": (evidence(), []),
    "exactly the minimum": (evidence(accuracy=0.8), []),
    "a figure too low": (evidence(accuracy=0.7999), ["accuracy is at least 0.8"]),
    "a class too low": (
        evidence(sensitivity__glioma=0.69),
        ["sensitivity of glioma is at least 0.7"],
    ),
    "a class is lost": (
        evidence(sensitivity__other=0.04, specificity__other=1),
        ["informedness of other is at least 0.1, and surely above 0"],
    ),
    "a class is hardly told from the rest, though it is found": (
        evidence(sensitivity__other=0.95, specificity__other=0.1),
        ["informedness of other is at least 0.1, and surely above 0"],
    ),
    "a class may be told from the rest by guessing only": (
        evidence(sensitivity__other=0.8, specificity__other=0.3, width=0.1),
        ["informedness of other is at least 0.1, and surely above 0"],
    ),
    "probabilities are far from what they mean": (
        evidence(ece=0.2),
        ["calibration error of the test set is at most 0.1"],
    ),
    "probabilities are not surely far off": (evidence(ece=0.14), []),
    "as good as the champion": (evidence(champion={}), []),
    "better than the champion": (evidence(champion={"macro_f1": worse(-0.1)}), []),
    "a class drops by the margin": (evidence(champion={"sensitivity.other": worse(0.05)}), []),
    "a class drops by more": (
        evidence(champion={"sensitivity.other": worse(0.051)}),
        ["sensitivity of other is not shown to be more than 0.05 below version 4"],
    ),
    "a class drops by more, which may be chance": (
        evidence(champion={"sensitivity.other": WIDE}),
        [],
    ),
    "the metric drops by the margin": (evidence(champion={"macro_f1": worse(0.01)}), []),
    "the metric drops by more": (
        evidence(champion={"macro_f1": worse(0.0101)}),
        ["macro_f1 is not shown to be more than 0.01 below version 4"],
    ),
    "what no rule names may drop": (evidence(champion={"precision.glioma": worse(0.9)}), []),
    "a subgroup drops": (
        evidence(champion={}, subgroups=(Subgroup("sex female", 80, worse(0.11)),)),
        ["accuracy of sex female is not shown to be more than 0.1 below version 4"],
    ),
    "a subgroup drops by the margin": (
        evidence(champion={}, subgroups=(Subgroup("sex female", 80, worse(0.1)),)),
        [],
    ),
    "test images were learnt from": (
        evidence(found={"leaks": finding("share", 0.01)}),
        ["share of test images that training shows too is at most 0"],
    ),
    "trained on another training set": (
        evidence(same_images=False),
        ["it was trained on the training set that it is judged on"],
    ),
    "the heat lies beside the body": (
        evidence(found={"attention": finding("inside_body", 0.3, Interval(0.2, 0.49))}),
        ["share of the heat on the body is at least 0.5"],
    ),
    "the heat may lie on the body": (
        evidence(found={"attention": finding("inside_body", 0.4, Interval(0.3, 0.5))}),
        [],
    ),
    "the lesion is not looked at": (
        evidence(found={"attention": finding("pointing_game", 0.7)}),
        ["share of images whose hottest place lies in the lesion is at least 0.8"],
    ),
    "the heat is the same without weights": (
        evidence(found={"attention": finding("sanity_correlation", 0.95)}),
        ["likeness of heat maps before and after the weights were made random is at most 0.9"],
    ),
    "the background is enough": (
        evidence(found={"shortcuts": finding("body_blanked_kappa", 0.9, Interval(0.8, 0.95))}),
        ["agreement with its own answers where the body is blanked is at most 0.6"],
    ),
    "a source is not understood": (
        evidence(found={"sources": finding("worst_accuracy", 0.5, Interval(0.4, 0.55))}),
        ["accuracy on the source that it is worst on is at least 0.6"],
    ),
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
    results, _ = judge(GATE, "macro_f1", figures)

    assert [result.rule for result in results if not result.passed] == broken


@pytest.mark.parametrize(
    ("when", "drop", "passed"),
    [
        ("point", WIDE, False),
        ("point", worse(0.04, width=0.3), True),
        ("shown", WIDE, True),
        ("shown", worse(0.2, width=0.19), False),
        ("shown", worse(0.04), True),
        ("not_excluded", worse(0.04, width=0.005), True),
        ("not_excluded", worse(0.04, width=0.02), False),
        ("not_excluded", worse(-0.04, width=0.1), False),
    ],
)
def test_the_spec_says_when_a_drop_counts(when: str, drop: Difference, passed: bool) -> None:
    gate = GATE.model_copy(update={"worse_when": when})

    results, _ = judge(gate, "accuracy", evidence(champion={"sensitivity.other": drop}))

    about = [r for r in results if "sensitivity of other" in r.rule]
    assert [r.passed for r in about] == [passed]


def test_what_was_not_measured_is_not_judged_and_that_is_said() -> None:
    results, unknown = judge(GATE, "macro_f1", evidence(found={"leaks": finding("share", 0)}))

    assert [r.rule for r in results if "training shows" in r.rule] == [
        "share of test images that training shows too is at most 0"
    ]
    assert len(unknown) == 7
    assert unknown[0] == (
        "Not judged, as it was not measured: share of the heat on the body (attention.inside_body)."
    )


def test_heat_is_held_against_lesions_by_default_where_masks_came() -> None:
    figures = {"pointing_gain": -0.05, "faithfulness": -0.2}
    shown_bad = {name: Interval(value - 0.04, value + 0.04) for name, value in figures.items()}
    masks = Finding(title="", about="", figures=figures | {"masks": 96.0}, intervals=shown_bad)
    none = Finding(title="", about="", figures=figures, intervals=shown_bad)

    with_masks, _ = judge(GateSpec(), "macro_f1", evidence(found={"attention": masks}))
    without, unknown = judge(GateSpec(), "macro_f1", evidence(found={"attention": none}))

    assert [rule.rule for rule in with_masks if not rule.passed] == [
        "pointing game above a map that knows nothing is at least 0",
        "faithfulness of the heat (insertion less deletion, above random order) is at least 0",
    ]
    assert all(rule.passed for rule in without)
    assert len([note for note in unknown if "no masks came with the images" in note]) == 2


def test_a_limit_of_null_asks_nothing() -> None:
    names = (
        "min_pointing_gain",
        "min_faithfulness",
        "max_leaked",
        "min_inside_body",
        "max_sanity_correlation",
        "max_background_kappa",
    )
    nothing = dict.fromkeys((*names, "max_ece", "min_informedness", "max_subgroup_drop"))
    bad = evidence(
        champion={},
        subgroups=(Subgroup("sex female", 80, worse(0.5)),),
        found={"leaks": finding("share", 1.0)},
        ece=0.9,
        sensitivity__other=0,
    )

    results, unknown = judge(GateSpec.model_validate(nothing), "macro_f1", bad)

    assert unknown == []
    assert all(result.passed for result in results)


def test_every_rule_says_its_number_its_interval_and_its_limit() -> None:
    results, _ = judge(GATE, "macro_f1", evidence(champion={"macro_f1": worse(0.02)}))

    told: dict[str, Any] = {r.rule: (pytest.approx(r.value), r.limit) for r in results}
    assert told == {
        "accuracy is at least 0.8": (0.85, 0.8),
        "macro_auroc is at least 0.9": (0.95, 0.9),
        "sensitivity of glioma is at least 0.7": (0.75, 0.7),
        "informedness of glioma is at least 0.1, and surely above 0": (0.65, 0.1),
        "informedness of other is at least 0.1, and surely above 0": (0.65, 0.1),
        "macro_f1 is not shown to be more than 0.01 below version 4": (0.02, 0.01),
        "sensitivity of glioma is not shown to be more than 0.05 below version 4": (0.0, 0.05),
        "sensitivity of other is not shown to be more than 0.05 below version 4": (0.0, 0.05),
        "calibration error of the test set is at most 0.1": (0.03, 0.1),
        "bundle and Keras model agree within 0.001": (1e-6, 1e-3),
    }
    shown = {r.rule: r.told for r in results}
    assert shown["accuracy is at least 0.8"] == "0.8500 (0.8000 to 0.9000)"
    assert shown["bundle and Keras model agree within 0.001"] == "0.0000"
    assert (
        shown["macro_f1 is not shown to be more than 0.01 below version 4"]
        == "0.0200 (0.0190 to 0.0210)"
    )
