"""Figures under weights: those of scikit-learn with ``sample_weight``."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    f1_score,
    matthews_corrcoef,
    precision_score,
    recall_score,
    roc_auc_score,
)

from pipelines.evaluation.decisions import Decisions
from pipelines.evaluation.metrics import MEASURES, measure
from pipelines.evaluation.weighted import weighted
from tests.pipelines.evaluation.answers import CLASSES, answers, labels_of, likeliest

FINDINGS = ("a", "c")


def expected(
    truth: NDArray[np.bool_],
    decided: NDArray[np.bool_],
    score: NDArray[np.float64],
    weight: NDArray[np.float64],
) -> dict[str, float]:
    """scikit-learn's figures of one question with two answers."""
    told = {"sample_weight": weight, "zero_division": 0}
    return {
        "sensitivity": recall_score(truth, decided, **told),
        "specificity": recall_score(~truth, ~decided, **told),
        "precision": precision_score(truth, decided, **told),
        "npv": precision_score(~truth, ~decided, **told),
        "f1": f1_score(truth, decided, **told),
        "mcc": matthews_corrcoef(truth, decided, sample_weight=weight),
        "auroc": roc_auc_score(truth, score, sample_weight=weight),
        "auprc": average_precision_score(truth, score, sample_weight=weight),
        "brier": brier_score_loss(truth, score, sample_weight=weight),
    }


@pytest.mark.parametrize("decimals", [9, 1])
def test_weighted_figures_are_scikit_learns(decimals: int) -> None:
    rng = np.random.default_rng(0)
    labels = labels_of(80, rng=rng)
    probabilities = answers(labels, skill=1.2, rng=rng).round(decimals)
    weights = rng.integers(0, 4, (5, 80)).astype(float)

    figures = weighted(labels, likeliest(probabilities), weights=weights, findings=FINDINGS)

    predicted = probabilities.argmax(axis=1)
    questions = {
        name: (labels == i, predicted == i, probabilities[:, i]) for i, name in enumerate(CLASSES)
    }
    any_finding = (labels != 1, predicted != 1, probabilities[:, [0, 2]].sum(axis=1).clip(0, 1))
    questions["any_finding"] = any_finding
    for row, weight in enumerate(weights):
        whole = {
            "accuracy": accuracy_score(labels, predicted, sample_weight=weight),
            "balanced_accuracy": balanced_accuracy_score(labels, predicted, sample_weight=weight),
            "mcc": matthews_corrcoef(labels, predicted, sample_weight=weight),
        }
        each = {name: expected(*question, weight) for name, question in questions.items()}
        whole |= {f"{m}.{name}": each[name][m] for name in each for m in MEASURES}
        assert {name: figures[name][row] for name in whole} == pytest.approx(whole, abs=1e-9)


@pytest.mark.parametrize("findings", [(), FINDINGS])
def test_weights_of_one_give_the_plain_figures(findings: tuple[str, ...]) -> None:
    rng = np.random.default_rng(1)
    labels = labels_of(60, rng=rng)
    probabilities = answers(labels, skill=1, rng=rng)
    predicted = np.roll(probabilities.argmax(axis=1), 1)

    for given in (likeliest(probabilities), Decisions.recorded(probabilities, CLASSES, predicted)):
        figures = weighted(labels, given, weights=np.ones((1, 60)), findings=findings)

        plain = measure(labels, given, findings=findings)
        assert {name: values[0] for name, values in figures.items()} == pytest.approx(plain)


def test_an_image_of_weight_two_counts_as_two() -> None:
    rng = np.random.default_rng(2)
    labels = labels_of(40, rng=rng)
    probabilities = answers(labels, skill=1, rng=rng)
    weights = rng.integers(1, 4, 40)

    figures = weighted(labels, likeliest(probabilities), weights=weights[None].astype(float))

    copies = np.repeat(np.arange(40), weights)
    plain = measure(labels[copies], likeliest(probabilities[copies]))
    assert {name: values[0] for name, values in figures.items()} == pytest.approx(plain)


def test_what_a_class_without_images_leaves_undefined_is_not_a_number() -> None:
    rng = np.random.default_rng(3)
    labels = labels_of(30, rng=rng)
    weights = (labels != 2).astype(float)[None]

    figures = weighted(labels, likeliest(answers(labels, skill=1, rng=rng)), weights=weights)

    undefined = {name for name, values in figures.items() if np.isnan(values[0])}
    per_class = {f"{name}.c" for name in ("sensitivity", "auroc", "auprc")}
    assert undefined == per_class | {"macro_sensitivity", "macro_auroc", "macro_auprc"}
