"""The figures, against values worked out by hand."""

import numpy as np
import pytest

from pipelines.evaluation.metrics import MEASURES, OVERALL, confusion, measure, specificity

CLASSES = ("a", "b")
LABELS = np.array([0, 0, 0, 0, 1, 1])
# three of four a found, one of two b found
SCORES_B = np.array([0.1, 0.2, 0.3, 0.7, 0.9, 0.4])
PROBABILITIES = np.stack([1 - SCORES_B, SCORES_B], axis=1)

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
    # of the 8 pairs of an a and a b, 7 are ranked rightly
    "auroc.a": 7 / 8,
    "auroc.b": 7 / 8,
    "macro_auroc": 7 / 8,
    # the two b stand at ranks 1 and 3: precision 1 and 2/3
    "auprc.b": (1 + 2 / 3) / 2,
}


@pytest.mark.parametrize(("name", "expected"), BY_HAND.items())
def test_figures_are_those_worked_out_by_hand(name: str, expected: float) -> None:
    assert measure(LABELS, PROBABILITIES, CLASSES)[name] == pytest.approx(expected)


def test_every_figure_stands_once_overall_and_once_for_each_class() -> None:
    names = set(measure(LABELS, PROBABILITIES, CLASSES))

    assert names == {
        "accuracy",
        *(f"macro_{name}" for name in MEASURES),
        *(f"{name}.{c}" for name in MEASURES for c in CLASSES),
    }
    assert set(OVERALL) < names


def test_a_class_that_is_never_predicted_has_no_precision_and_no_f1() -> None:
    figures = measure(LABELS, np.tile([0.9, 0.1], (6, 1)), CLASSES)

    assert figures["precision.b"] == figures["f1.b"] == figures["sensitivity.b"] == 0
    assert figures["specificity.b"] == 1
    assert figures["auroc.b"] == 0.5


def test_a_class_without_images_is_named() -> None:
    with pytest.raises(ValueError, match="no image of b"):
        measure(np.zeros(6, int), PROBABILITIES, CLASSES)


def test_confusion_has_true_classes_in_rows_also_those_never_seen() -> None:
    counts = confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 3)

    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert specificity(np.array([[8, 2], [1, 9]])).tolist() == [0.9, 0.8]
