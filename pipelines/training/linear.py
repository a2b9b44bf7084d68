"""Multinomial logistic regression by Spark ML, as the plain matrix that it comes to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pyspark.ml.classification import LogisticRegressionModel
    from pyspark.sql import DataFrame

VECTOR = "vector"
REDUCED = "reduced"
WEIGHT = "weight"
LABEL = "label"

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Linear:
    """Features to logits."""

    kernel: NDArray[np.float64]
    """(k, classes)"""
    bias: NDArray[np.float64]
    """(classes,)"""

    def logits(self, values: Floats) -> NDArray[np.float64]:
        """(n, k) features → (n, classes) logits."""
        return np.asarray(values @ self.kernel + self.bias, np.float64)


@dataclass(frozen=True)
class Penalty:
    """What keeps coefficients small, and for how long they are sought."""

    regularisation: float
    elastic_net: float
    iterations: int


def vectors(rows: "DataFrame", *, values: str, weights: Sequence[float]) -> "DataFrame":
    """What `fit` takes, kept in memory: the features as vectors, a label and a weight a row.

    Args:
        rows: with ``label`` and the column ``values``, arrays of numbers.
        values: its name.
        weights: of each class.
    """
    from pyspark.ml.functions import array_to_vector
    from pyspark.sql import functions as F

    by_class = F.array(*[F.lit(float(weight)) for weight in weights])
    chosen = rows.select(
        array_to_vector(F.col(values)).alias(VECTOR),
        F.col(LABEL).cast("double").alias(LABEL),
        F.element_at(by_class, F.col(LABEL) + 1).alias(WEIGHT),
    )
    return chosen.persist()


def reduced(rows: "DataFrame", components: int) -> tuple["DataFrame", NDArray[np.float64]]:
    """`vectors` along the directions in which they vary most.

    Args:
        rows: as `vectors` gives them, (k,) each.
        components: how many directions.

    Returns:
        The rows with vectors of (components,), and the directions, (k, components).
    """
    from pyspark.ml.feature import PCA

    fitted = PCA(k=components, inputCol=VECTOR, outputCol=REDUCED).fit(rows)
    shorter = fitted.transform(rows).drop(VECTOR).withColumnRenamed(REDUCED, VECTOR)
    return shorter.persist(), np.asarray(fitted.pc.toArray(), np.float64)


def fit(rows: "DataFrame", penalty: Penalty) -> tuple[Linear, int]:
    """Fit a regression to `vectors`.

    Features are brought to one scale for the penalty; the coefficients are those of the features
    as they are.

    Returns:
        The regression, and how many steps the optimiser took.
    """
    from pyspark.ml.classification import LogisticRegression

    model = LogisticRegression(
        featuresCol=VECTOR,
        labelCol=LABEL,
        weightCol=WEIGHT,
        maxIter=penalty.iterations,
        regParam=penalty.regularisation,
        elasticNetParam=penalty.elastic_net,
    ).fit(rows)
    return _both_sides(model), int(model.summary.totalIterations)


def _both_sides(model: "LogisticRegressionModel") -> Linear:
    """Spark gives one row of coefficients where there are two classes: for the second one."""
    kernel = model.coefficientMatrix.toArray().T
    bias = model.interceptVector.toArray()
    if kernel.shape[1] == 1:
        kernel = np.hstack([-kernel / 2, kernel / 2])
        bias = np.concatenate([-bias / 2, bias / 2])
    return Linear(np.asarray(kernel, np.float64), np.asarray(bias, np.float64))
