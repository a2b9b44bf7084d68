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
from pipelines.evaluation.decisions import Decisions
from pipelines.evaluation.targets import Labels, Targets, targets_of

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
DECIDED = (
    *("accuracy", "balanced_accuracy", "sensitivity", "specificity"),
    *("precision", "npv", "f1", "mcc"),
)
"""Those of all measures that depend on which class is decided for."""
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
    answers: Decisions,
    *,
    findings: Sequence[str] = (),
) -> dict[str, float]:
    """Every figure of one set of answers, abstained ones included.

    Args:
        labels: (n,) index of the true class; at least two classes occur, and every class does.
        answers: to the n images.
        findings: those of the classes that are findings.

    Returns:
        name → value. A figure that divides by nothing (the precision of a class that is never
        decided for) is 0.

    Raises:
        ValueError: a class does not stand in ``labels``, so that its figures are undefined.
    """
    classes, predicted = answers.classes, answers.decided
    absent = [name for i, name in enumerate(classes) if i not in labels]
    if absent:
        raise ValueError(f"no image of {', '.join(absent)}: its figures are undefined")
    targets = targets_of(labels, answers, findings=findings)
    each = {name: _of_target(targets, index) for index, name in enumerate(targets.names)}
    trust = calibration_figures(answers.probabilities, labels)
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


def depends_on_decision(name: str) -> bool:
    """Whether a figure, named as by `measure`, changes with the thresholds."""
    return name.removeprefix("macro_").partition(".")[0] in DECIDED


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


def confusion(labels: Labels, answers: Decisions) -> NDArray[np.int64]:
    """(classes, classes) number of images by true class (row) and decided class (column)."""
    every = np.arange(len(answers.classes))
    return np.asarray(confusion_matrix(labels, answers.decided, labels=every), np.int64)
