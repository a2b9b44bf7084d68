"""The paired bootstrap: differences of scikit-learn's figures, with intervals that cover."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, recall_score, roc_auc_score

from pipelines.evaluation.decisions import Decisions
from pipelines.evaluation.paired import paired_bootstrap
from tests.pipelines.evaluation.answers import CLASSES, answers, apart, labels_of, likeliest


def test_a_difference_is_that_of_scikit_learns_figures() -> None:
    rng = np.random.default_rng(0)
    labels = labels_of(200, rng=rng)
    ours, theirs = (answers(labels, skill=skill, rng=rng) for skill in (2.0, 1.0))

    found = paired_bootstrap(labels, likeliest(ours), likeliest(theirs), groups=apart(200), seed=0)

    expected = {
        "accuracy": accuracy_score(labels, ours.argmax(1))
        - accuracy_score(labels, theirs.argmax(1)),
        "sensitivity.b": recall_score(labels == 1, ours.argmax(1) == 1)
        - recall_score(labels == 1, theirs.argmax(1) == 1),
        "auroc.c": roc_auc_score(labels == 2, ours[:, 2])
        - roc_auc_score(labels == 2, theirs[:, 2]),
    }
    assert {name: found[name].value for name in expected} == pytest.approx(expected)
    assert found["accuracy"].low > 0
    assert found["accuracy"].p < 0.01


def test_a_model_differs_from_itself_by_nothing() -> None:
    rng = np.random.default_rng(1)
    labels = labels_of(60, rng=rng)
    same = answers(labels, skill=1, rng=rng)

    found = paired_bootstrap(labels, likeliest(same), likeliest(same), groups=apart(60), seed=0)

    assert all(difference == (0, 0, 0, 1) for difference in found.values())


def test_pairing_makes_the_interval_narrower_than_that_of_models_asked_apart() -> None:
    rng = np.random.default_rng(2)
    labels = labels_of(300, rng=rng)
    ours = answers(labels, skill=1, rng=rng)
    nearly, strange = 0.95 * ours + 0.05 / 3, answers(labels, skill=1, rng=rng)

    near, far = (
        paired_bootstrap(labels, likeliest(ours), likeliest(theirs), groups=apart(300), seed=0)
        for theirs in (nearly, strange)
    )

    assert near["brier"].high - near["brier"].low < (far["brier"].high - far["brier"].low) / 3


def test_models_are_compared_by_what_they_decided_where_that_is_not_the_likeliest() -> None:
    rng = np.random.default_rng(5)
    labels = labels_of(120, rng=rng)
    same = answers(labels, skill=1, rng=rng)
    always_a = np.zeros(120, int)

    found = paired_bootstrap(
        labels,
        Decisions.recorded(same, CLASSES, always_a),
        likeliest(same),
        groups=apart(120),
        seed=0,
        findings=("a",),
    )

    missed = 1 - recall_score(labels == 0, same.argmax(axis=1) == 0)
    assert found["sensitivity.any_finding"].value == pytest.approx(missed)
    assert found["specificity.any_finding"].high < 0
    assert found["auroc.any_finding"] == (0, 0, 0, 1)


def test_figures_of_a_class_without_images_are_left_out() -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 40)
    ours, theirs = (answers(labels, skill=1, rng=rng) for _ in range(2))

    found = paired_bootstrap(labels, likeliest(ours), likeliest(theirs), groups=apart(40), seed=0)

    assert "sensitivity.c" not in found
    assert "sensitivity.a" in found
    assert all(np.isfinite(list(difference)).all() for difference in found.values())


def test_the_interval_covers_the_truth_as_often_as_it_says_also_for_images_in_groups() -> None:
    """Two models of equal skill; eight images of a patient are right or wrong together."""
    rng = np.random.default_rng(4)
    groups = [str(patient) for patient in range(60) for _ in range(8)]
    covered: list[bool] = []
    alone: list[bool] = []
    for _ in range(70):
        labels = np.repeat(rng.integers(0, 3, 60), 8)
        ours, theirs = (
            np.repeat(answers(labels[::8], skill=1, rng=rng), 8, axis=0) for _ in range(2)
        )
        for units, outcome in ((groups, covered), (apart(480), alone)):
            found = paired_bootstrap(
                labels, likeliest(ours), likeliest(theirs), groups=units, seed=0, resamples=100
            )["accuracy"]
            outcome.append(found.low <= 0 <= found.high)

    assert np.mean(covered) > 0.87
    assert np.mean(alone) < 0.7  # what not looking at the groups would do
