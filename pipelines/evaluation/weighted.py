"""The figures of `pipelines.evaluation.metrics` under many weightings of the images at once.

A resample of the bootstrap is a weight for each image: how often it was drawn. All resamples are
computed together, as matrix products in NumPy: 1,000 of them in seconds where a loop over
scikit-learn takes minutes. The figures are scikit-learn's with ``sample_weight``.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.calibration import BINS
from pipelines.evaluation.decisions import Decisions
from pipelines.evaluation.metrics import MEASURES
from pipelines.evaluation.targets import Labels, Probabilities, Targets, targets_of

Weights = NDArray[np.float64]
Values = NDArray[np.float64]


def weighted(
    labels: Labels,
    answers: Decisions,
    *,
    weights: Weights,
    findings: Sequence[str] = (),
) -> dict[str, Values]:
    """All figures under many weightings of the images at once.

    Args:
        labels: (n,) index of the true class.
        answers: to the n images.
        weights: (resamples, n), not negative.
        findings: those of the classes that are findings.

    Returns:
        name → (resamples,), named as by `metrics.measure`; NaN where undefined.
    """
    targets = targets_of(labels, answers, findings=findings)
    measured = _by_target(targets, weights)
    own = slice(len(answers.classes))
    return {
        **_whole(targets, own, weights),
        "balanced_accuracy": _present(measured["sensitivity"][:, own]),
        "ece": _ece(labels, answers.probabilities, weights),
        **{f"macro_{name}": measured[name][:, own].mean(axis=1) for name in MEASURES},
        **{
            f"{name}.{of}": measured[name][:, index]
            for name in MEASURES
            for index, of in enumerate(targets.names)
        },
    }


def _by_target(targets: Targets, weights: Weights) -> dict[str, Values]:
    """Measure → (resamples, targets)."""
    truth, decided = targets.truth.astype(np.float64), targets.decided.astype(np.float64)
    total = weights.sum(axis=1, keepdims=True)
    positives, claimed = weights @ truth, weights @ decided
    hits = weights @ (truth * decided)
    negatives, denied = total - positives, total - claimed
    right_denials = denied - (positives - hits)
    areas = [
        ranked(targets.truth[:, index], targets.scores[:, index], weights)
        for index in range(len(targets.names))
    ]
    covariance = hits * total - positives * claimed
    spread = np.sqrt(positives * negatives) * np.sqrt(claimed * denied)
    return {
        "sensitivity": ratio(hits, positives),
        "specificity": ratio(right_denials, negatives),
        "precision": np.nan_to_num(ratio(hits, claimed)),
        "npv": np.nan_to_num(ratio(right_denials, denied)),
        "f1": np.nan_to_num(ratio(2 * hits, positives + claimed)),
        "mcc": np.nan_to_num(ratio(covariance, spread)),
        "auroc": np.stack([auroc for auroc, _ in areas], axis=1),
        "auprc": np.stack([auprc for _, auprc in areas], axis=1),
        "brier": weights @ (targets.scores - truth) ** 2 / total,
    }


def _whole(targets: Targets, own: slice, weights: Weights) -> dict[str, Values]:
    """Accuracy, Brier score, and Gorodkin's correlation of labels and decisions (2004)."""
    truth = targets.truth[:, own].astype(np.float64)
    decided = targets.decided[:, own].astype(np.float64)
    total = weights.sum(axis=1)
    right = weights @ (truth * decided).sum(axis=1)
    true, claimed = weights @ truth, weights @ decided
    covariance = right * total - (true * claimed).sum(axis=1)
    spreads = [np.sqrt(total**2 - (part**2).sum(axis=1)) for part in (true, claimed)]
    return {
        "accuracy": right / total,
        "mcc": np.nan_to_num(ratio(covariance, spreads[0] * spreads[1])),
        "brier": weights @ ((targets.scores[:, own] - truth) ** 2).sum(axis=1) / total,
    }


def _ece(labels: Labels, probabilities: Probabilities, weights: Weights) -> Values:
    """Of the likeliest class, by definition: see `calibration.CalibrationFigures.ece`."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    gap = confidence - (probabilities.argmax(axis=1) == labels)
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = weights @ (gap[:, None] * (place[:, None] == np.arange(BINS)))
    return np.asarray(np.abs(gaps).sum(axis=1) / weights.sum(axis=1), np.float64)


def _present(values: Values) -> Values:
    """(resamples,) mean over the classes of which an image was drawn, as scikit-learn's."""
    there = np.isfinite(values)
    return np.asarray(np.where(there, values, 0).sum(axis=1) / there.sum(axis=1), np.float64)


def ranked(
    positive: NDArray[np.bool_], score: Probabilities, weights: Weights
) -> tuple[Values, Values]:
    """Areas under the ROC curve (trapezoids) and the precision-recall curve (steps).

    Args:
        positive: (n,) whether an image is of the class.
        score: (n,) what ranks the images.
        weights: (resamples, n).
    """
    order = np.argsort(-score, kind="stable")
    ties = np.append(np.diff(score[order]) != 0, True)  # the last image of each score
    ordered = weights[:, order]
    true = np.cumsum(ordered * positive[order], axis=1)[:, ties]
    claimed = np.cumsum(ordered, axis=1)[:, ties]
    false = claimed - true
    origin = np.zeros((len(weights), 1))
    gained = np.diff(true, axis=1, prepend=origin)
    wrong = np.diff(false, axis=1, prepend=origin)
    auroc = ratio((wrong * (true - gained / 2)).sum(axis=1), true[:, -1] * false[:, -1])
    precision = np.nan_to_num(ratio(true, claimed))
    auprc = ratio((gained * precision).sum(axis=1), true[:, -1])
    return auroc, auprc


def ratio(part: Values, whole: Values) -> Values:
    """Element by element; NaN where the whole is nothing."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(whole > 0, part / whole, np.nan))
