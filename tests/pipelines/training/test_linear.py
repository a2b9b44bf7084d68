from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from pipelines.training.linear import Penalty, fit, reduced, vectors

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

FREE = Penalty(regularisation=0, elastic_net=0, iterations=200)
EVEN = (1.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def values() -> NDArray[np.float64]:
    """Four features of very different size."""
    return np.random.default_rng(4).normal(size=(300, 4)) * [1, 10, 0.1, 3] + [0, 5, 1, 2]


def noisy_labels(values: NDArray[np.float64], classes: int) -> NDArray[np.int64]:
    """Classes that no straight line tells apart."""
    drawn = np.random.default_rng(5)
    score = values[:, 0] + values[:, 1] / 10 + drawn.normal(size=len(values))
    bounds = np.quantile(score, np.arange(1, classes) / classes)
    return np.digitize(score, bounds)


def rows(
    spark: "SparkSession",
    values: NDArray[np.float64],
    labels: NDArray[np.int64],
    weights: tuple[float, ...] = EVEN,
) -> "DataFrame":
    listed = [(int(label), row.tolist()) for label, row in zip(labels, values, strict=True)]
    frame = spark.createDataFrame(listed, "label int, values array<double>")
    return vectors(frame, values="values", weights=weights)


@pytest.mark.parametrize("classes", [2, 3])
def test_without_a_penalty_the_answers_are_scikit_learns(
    spark: "SparkSession", values: NDArray[np.float64], classes: int
) -> None:
    labels = noisy_labels(values, classes)
    ours, steps = fit(rows(spark, values, labels), FREE)
    assert 1 < steps <= FREE.iterations
    theirs = LogisticRegression(C=np.inf, max_iter=5000, tol=1e-8).fit(values, labels)
    logits = ours.logits(values)
    assert logits.shape == (300, classes)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares, theirs.predict_proba(values), atol=1e-3)


def test_weights_count_as_so_many_images(
    spark: "SparkSession", values: NDArray[np.float64]
) -> None:
    labels = noisy_labels(values, 2)
    weighted, _ = fit(rows(spark, values, labels, (1.0, 3.0)), FREE)
    again = np.repeat(np.arange(300), np.where(labels == 1, 3, 1))
    repeated, _ = fit(rows(spark, values[again], labels[again]), FREE)
    np.testing.assert_allclose(weighted.logits(values), repeated.logits(values), atol=2e-3)


def test_an_absolute_penalty_leaves_features_out(
    spark: "SparkSession", values: NDArray[np.float64]
) -> None:
    labels = noisy_labels(values, 2)
    sparse, _ = fit(rows(spark, values, labels), Penalty(0.1, 1.0, 100))
    assert (sparse.kernel[2:] == 0).all()
    assert (sparse.kernel[:2] != 0).all()


def test_directions_are_the_principal_components(
    spark: "SparkSession", values: NDArray[np.float64]
) -> None:
    shorter, directions = reduced(rows(spark, values, noisy_labels(values, 2)), 2)
    expected = PCA(2).fit(values).components_
    np.testing.assert_allclose(np.abs(directions.T), np.abs(expected), atol=1e-6)
    first = shorter.first()
    assert first is not None
    assert len(first["vector"]) == 2
