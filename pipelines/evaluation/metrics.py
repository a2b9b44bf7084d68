"""The figures a classifier is judged by; scikit-learn does the arithmetic.

Names: ``accuracy``, ``macro_<measure>`` (the plain mean over classes) and ``<measure>.<class>``
(that class against the rest), where a measure is one of `MEASURES`.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    confusion_matrix,
    precision_recall_fscore_support,
    roc_auc_score,
)

MEASURES = ("sensitivity", "specificity", "precision", "f1", "auroc", "auprc")
OVERALL = (
    "accuracy",
    "macro_f1",
    "macro_sensitivity",
    "macro_specificity",
    "macro_auroc",
    "macro_auprc",
)
"""What selection and gate may ask for, and what a table of candidates shows."""

Labels = NDArray[np.integer]
Probabilities = NDArray[np.floating]


def measure(
    labels: Labels, probabilities: Probabilities, classes: Sequence[str]
) -> dict[str, float]:
    """Every figure of one set of predictions.

    Args:
        labels: (n,) index of the true class; every class stands in it at least once, and not
            alone.
        probabilities: (n, classes); the largest decides.
        classes: their names.

    Returns:
        name → value from 0 to 1. A class that is never predicted has precision and F1 of 0.

    Raises:
        ValueError: a class does not stand in ``labels``, so that its figures are undefined.
    """
    indices = np.arange(len(classes))
    absent = [name for i, name in enumerate(classes) if i not in labels]
    if absent:
        raise ValueError(f"no image of {', '.join(absent)}: its figures are undefined")
    predicted = probabilities.argmax(axis=1)
    precision, sensitivity, f1, _ = precision_recall_fscore_support(
        labels, predicted, labels=indices, zero_division=0
    )
    truth = labels[:, None] == indices
    columns = [(truth[:, i], probabilities[:, i]) for i in indices]
    by_measure = {
        "sensitivity": sensitivity,
        "specificity": specificity(confusion(labels, predicted, len(classes))),
        "precision": precision,
        "f1": f1,
        "auroc": [roc_auc_score(positive, score) for positive, score in columns],
        "auprc": [average_precision_score(positive, score) for positive, score in columns],
    }
    return {
        "accuracy": float(accuracy_score(labels, predicted)),
        **{f"macro_{name}": float(np.mean(by_measure[name])) for name in MEASURES},
        **{
            f"{name}.{of}": float(by_measure[name][i])
            for name in MEASURES
            for i, of in enumerate(classes)
        },
    }


def confusion(labels: Labels, predicted: Labels, classes: int) -> NDArray[np.int64]:
    """(classes, classes) number of images by true class (row) and predicted class (column)."""
    return np.asarray(confusion_matrix(labels, predicted, labels=np.arange(classes)), np.int64)


def specificity(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """(classes,) share of the images of other classes that are not predicted as this one.

    Args:
        counts: a confusion matrix, see `confusion`.
    """
    others = counts.sum() - counts.sum(axis=1)
    false_positives = counts.sum(axis=0) - np.diag(counts)
    return np.asarray(1 - false_positives / others, np.float64)
