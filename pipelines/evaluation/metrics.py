"""The figures a classifier is judged by; scikit-learn does the arithmetic.

Names: those of the whole (`WHOLE`), ``macro_<measure>`` (the plain mean over classes),
``<measure>.<class>`` (that class against the rest) and ``<measure>.any_finding`` (see `targets`),
where a measure is one of `MEASURES`. What each says stands in docs/evidence/figures.md.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    confusion_matrix,
    f1_score,
    matthews_corrcoef,
    precision_score,
    recall_score,
    roc_auc_score,
)

from pipelines.evaluation.calibration import calibration_figures
from pipelines.evaluation.targets import Labels, Probabilities, Targets, targets_of

MEASURES = (
    "sensitivity",
    "specificity",
    "precision",
    "npv",
    "f1",
    "mcc",
    "auroc",
    "auprc",
    "brier",
)
WHOLE = ("accuracy", "balanced_accuracy", "mcc", "brier", "ece")
OVERALL = (
    "accuracy",
    "macro_f1",
    "macro_sensitivity",
    "macro_specificity",
    "macro_auroc",
    "macro_auprc",
)
"""What selection and gate may ask for, and what a table of candidates shows."""


def measure(
    labels: Labels,
    probabilities: Probabilities,
    classes: Sequence[str],
    *,
    findings: Sequence[str] = (),
    predicted: Labels | None = None,
) -> dict[str, float]:
    """Every figure of one set of predictions.

    Args:
        labels: (n,) index of the true class; every class stands in it at least once, and not
            alone.
        probabilities: (n, classes).
        classes: their names.
        findings: those of them that are findings.
        predicted: (n,) index of the class decided for; that of the largest probability if
            unset.

    Returns:
        name → value. A figure that divides by nothing (the precision of a class that is never
        decided for) is 0.

    Raises:
        ValueError: a class does not stand in ``labels``, so that its figures are undefined.
    """
    absent = [name for i, name in enumerate(classes) if i not in labels]
    if absent:
        raise ValueError(f"no image of {', '.join(absent)}: its figures are undefined")
    if predicted is None:
        predicted = probabilities.argmax(axis=1)
    targets = targets_of(labels, probabilities, classes, findings=findings, predicted=predicted)
    each = {name: _of_target(targets, index) for index, name in enumerate(targets.names)}
    trust = calibration_figures(probabilities, labels)
    return {
        "accuracy": float(accuracy_score(labels, predicted)),
        "balanced_accuracy": float(recall_score(labels, predicted, average="macro")),
        "mcc": float(matthews_corrcoef(labels, predicted)),
        "brier": trust.brier,
        "ece": trust.ece,
        **{
            f"macro_{name}": float(np.mean([each[of][name] for of in classes])) for name in MEASURES
        },
        **{f"{name}.{of}": each[of][name] for name in MEASURES for of in targets.names},
    }


def _of_target(targets: Targets, index: int) -> dict[str, float]:
    truth, decided = targets.truth[:, index], targets.decided[:, index]
    scores = targets.scores[:, index].clip(0, 1)  # sums of float32 exceed 1 by a digit
    found = {
        "sensitivity": recall_score(truth, decided),
        "specificity": recall_score(~truth, ~decided),
        "precision": precision_score(truth, decided, zero_division=0),
        "npv": precision_score(~truth, ~decided, zero_division=0),
        "f1": f1_score(truth, decided, zero_division=0),
        "mcc": matthews_corrcoef(truth, decided),
        "auroc": roc_auc_score(truth, scores),
        "auprc": average_precision_score(truth, scores),
        "brier": brier_score_loss(truth, scores, pos_label=True),
    }
    return {name: float(found[name]) for name in MEASURES}


def confusion(labels: Labels, predicted: Labels, classes: int) -> NDArray[np.int64]:
    """(classes, classes) number of images by true class (row) and predicted class (column)."""
    return np.asarray(confusion_matrix(labels, predicted, labels=np.arange(classes)), np.int64)
