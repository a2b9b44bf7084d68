"""The bootstrap: the same figures as scikit-learn's under weights, and intervals that cover."""

import time

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    precision_recall_fscore_support,
    roc_auc_score,
)

from pipelines.evaluation.intervals import bootstrap, weighted
from pipelines.evaluation.metrics import measure

CLASSES = ("a", "b", "c")


def predictions(
    n: int, *, seed: int = 0, decimals: int = 9
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Labels and probabilities that agree more often than not; few decimals make ties."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    labels[:3] = [0, 1, 2]
    logits = rng.normal(size=(n, 3)) + 1.2 * np.eye(3)[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return labels, np.round(probabilities, decimals)


@pytest.mark.parametrize("decimals", [9, 1])
def test_weighted_figures_are_scikit_learns(decimals: int) -> None:
    labels, probabilities = predictions(80, decimals=decimals)
    weights = np.random.default_rng(1).integers(0, 4, (5, 80)).astype(float)

    figures = weighted(labels, probabilities, CLASSES, weights=weights)

    for row, weight in enumerate(weights):
        predicted = probabilities.argmax(axis=1)
        precision, recall, f1, _ = precision_recall_fscore_support(
            labels, predicted, sample_weight=weight, zero_division=0
        )
        assert figures["accuracy"][row] == pytest.approx(
            accuracy_score(labels, predicted, sample_weight=weight)
        )
        for i, name in enumerate(CLASSES):
            one = (labels == i, probabilities[:, i])
            expected = {
                "precision": precision[i],
                "sensitivity": recall[i],
                "f1": f1[i],
                "auroc": roc_auc_score(*one, sample_weight=weight),
                "auprc": average_precision_score(*one, sample_weight=weight),
            }
            for measure_name, value in expected.items():
                assert figures[f"{measure_name}.{name}"][row] == pytest.approx(value)


def test_weights_of_one_give_the_plain_figures() -> None:
    labels, probabilities = predictions(60)

    figures = weighted(labels, probabilities, CLASSES, weights=np.ones((1, 60)))

    plain = measure(labels, probabilities, CLASSES)
    assert {name: values[0] for name, values in figures.items()} == pytest.approx(plain)


def test_an_interval_holds_its_figure_and_shrinks_with_more_images() -> None:
    few, many = predictions(60), predictions(2000)
    narrow, wide = (
        bootstrap(*data, CLASSES, groups=[str(i) for i in range(len(data[0]))], seed=0)["accuracy"]
        for data in (many, few)
    )

    assert wide.low < measure(*few, CLASSES)["accuracy"] < wide.high
    assert narrow.high - narrow.low < 0.3 * (wide.high - wide.low)


def test_ten_copies_of_an_image_tell_no_more_than_one() -> None:
    labels, probabilities = predictions(40)
    copies = np.repeat(np.arange(40), 10)

    one = bootstrap(labels, probabilities, CLASSES, groups=[str(i) for i in range(40)], seed=3)
    ten = bootstrap(
        labels[copies], probabilities[copies], CLASSES, groups=[str(i) for i in copies], seed=3
    )

    assert ten["accuracy"] == pytest.approx(one["accuracy"], abs=0.03)


def test_the_same_seed_gives_the_same_intervals() -> None:
    labels, probabilities = predictions(50)
    groups = [str(i // 2) for i in range(50)]

    first, again, other = (
        bootstrap(labels, probabilities, CLASSES, groups=groups, seed=seed) for seed in (7, 7, 8)
    )

    assert first == again
    assert first != other


def test_a_class_that_is_often_missed_by_the_draw_still_has_an_interval() -> None:
    labels, probabilities = predictions(30)
    labels[labels == 2] = 1
    labels[0] = 2

    bounds = bootstrap(labels, probabilities, CLASSES, groups=[str(i) for i in range(30)], seed=0)

    assert 0 <= bounds["sensitivity.c"].low <= bounds["sensitivity.c"].high <= 1


def test_a_thousand_resamples_of_a_real_test_set_take_seconds() -> None:
    labels, probabilities = predictions(2000)
    began = time.process_time()

    bootstrap(labels, probabilities, CLASSES, groups=[str(i) for i in range(2000)], seed=0)

    assert time.process_time() - began < 20
