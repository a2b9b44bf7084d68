"""The figures, against values worked out by hand."""

import numpy as np
import pytest

from pipelines.evaluation.decisions import Decisions
from pipelines.evaluation.metrics import (
    MEASURES,
    OVERALL,
    WHOLE,
    confusion,
    depends_on_decision,
    measure,
)

CLASSES = ("a", "b")
KINDS = ("glioma", "meningioma")
LABELS = np.array([0, 0, 0, 0, 1, 1])
# three of four a found, one of two b found
SCORES_B = np.array([0.1, 0.2, 0.3, 0.7, 0.9, 0.4])
PROBABILITIES = np.stack([1 - SCORES_B, SCORES_B], axis=1)

ANSWERS = Decisions.by_likeliest(PROBABILITIES, CLASSES)

BY_HAND = {
    "accuracy": 4 / 6,
    "sensitivity.a": 3 / 4,
    "sensitivity.b": 1 / 2,
    "specificity.a": 1 / 2,
    "specificity.b": 3 / 4,
    "precision.a": 3 / 4,
    "precision.b": 1 / 2,
    "f1.a": 3 / 4,
    "f1.b": 1 / 2,
    "macro_sensitivity": 5 / 8,
    "macro_specificity": 5 / 8,
    "macro_f1": 5 / 8,
    "balanced_accuracy": 5 / 8,
    "npv.a": 1 / 2,
    "npv.b": 3 / 4,
    # (3 * 1 - 1 * 1) / sqrt(4 * 4 * 2 * 2)
    "mcc": 1 / 4,
    "mcc.a": 1 / 4,
    # 0.01 + 0.04 + 0.09 + 0.49 + 0.01 + 0.36
    "brier.b": 1.0 / 6,
    "brier": 2.0 / 6,
    # of the 8 pairs of an a and a b, 7 are ranked rightly
    "auroc.a": 7 / 8,
    "auroc.b": 7 / 8,
    "macro_auroc": 7 / 8,
    # the two b stand at ranks 1 and 3: precision 1 and 2/3
    "auprc.b": (1 + 2 / 3) / 2,
}


@pytest.mark.parametrize(("name", "expected"), BY_HAND.items())
def test_figures_are_those_worked_out_by_hand(name: str, expected: float) -> None:
    assert measure(LABELS, ANSWERS)[name] == pytest.approx(expected)


def test_every_figure_stands_once_overall_and_once_for_each_class() -> None:
    names = set(measure(LABELS, ANSWERS))

    assert names == {
        *WHOLE,
        *(f"macro_{name}" for name in MEASURES),
        *(f"{name}.{c}" for name in MEASURES for c in CLASSES),
    }
    assert set(OVERALL) < names


def test_a_class_that_is_never_predicted_has_no_precision_and_no_f1() -> None:
    figures = measure(LABELS, Decisions.by_likeliest(np.tile([0.9, 0.1], (6, 1)), CLASSES))

    assert figures["precision.b"] == figures["f1.b"] == figures["sensitivity.b"] == 0
    assert figures["specificity.b"] == 1
    assert figures["auroc.b"] == 0.5


def test_a_class_without_images_is_named() -> None:
    with pytest.raises(ValueError, match="no image of b"):
        measure(np.zeros(6, int), ANSWERS)


def test_confusion_has_true_classes_in_rows_also_those_never_seen() -> None:
    counts = confusion(
        np.array([0, 0, 1]), Decisions.recorded(np.eye(3), ("a", "b", "c"), np.array([0, 1, 1]))
    )

    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]


def test_any_finding_merges_the_findings_of_truth_decision_and_probability() -> None:
    labels = np.array([0, 1, 2, 2])
    probabilities = np.array([[0.1, 0.7, 0.2], [0.3, 0.3, 0.4], [0.1, 0.1, 0.8], [0.25, 0.35, 0.4]])

    figures = measure(
        labels, Decisions.by_likeliest(probabilities, (*KINDS, "none")), findings=KINDS
    )

    # the glioma called meningioma is found, the meningioma called none is missed
    assert figures["sensitivity.glioma"] == 0
    assert figures["sensitivity.any_finding"] == 0.5
    assert figures["specificity.any_finding"] == 1
    # 0.8 and 0.6 against 0.2 and 0.6: one tie of four pairs
    assert figures["auroc.any_finding"] == pytest.approx(3.5 / 4)
    brier = np.mean([0.2**2, 0.4**2, 0.2**2, 0.6**2])
    assert figures["brier.any_finding"] == pytest.approx(brier)


@pytest.mark.parametrize("findings", [(), CLASSES])
def test_where_all_or_none_are_findings_there_is_no_such_question(
    findings: tuple[str, ...],
) -> None:
    assert set(measure(LABELS, ANSWERS, findings=findings)) == set(measure(LABELS, ANSWERS))


def test_another_decision_changes_what_depends_on_it_and_nothing_else() -> None:
    plain = measure(LABELS, ANSWERS)
    careful = measure(
        LABELS, Decisions.recorded(PROBABILITIES, CLASSES, np.array([0, 0, 0, 1, 1, 1]))
    )

    assert careful["sensitivity.b"] == 1
    changed = {name for name in plain if careful[name] != plain[name]}
    assert changed <= {name for name in plain if depends_on_decision(name)}
    ranked = {name for name in plain if name.partition(".")[0] in ("auroc", "auprc", "brier")}
    ranked |= {"ece", "macro_auroc", "macro_auprc", "macro_brier"}
    assert ranked == {name for name in plain if not depends_on_decision(name)}
