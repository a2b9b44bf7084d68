"""The figures of one split, with intervals, by the decision that is served."""

import logging

import pandas as pd

from pipelines.evaluation import intervals, metrics
from pipelines.evaluation.calibration import calibration_figures, softmax
from pipelines.evaluation.operating_point import (
    Thresholds,
    choose_thresholds,
    thresholds_at,
)
from pipelines.evaluation.predictions import (
    decisions_of,
    labels_of,
    logits_of,
    probabilities_of,
)
from pipelines.evaluation.record import SplitCalibration, SplitFigures
from pipelines.spec import DatasetSpec

logger = logging.getLogger(__name__)


def thresholds_of(spec: DatasetSpec, validation: pd.DataFrame) -> dict[str, float] | None:
    """The operating point of a model: the thresholds by which the service will decide.

    Args:
        spec: with the way they are chosen (``operating``).
        validation: the model's calibrated answers to the validation images.

    Returns:
        Class → threshold; ``None`` where the likeliest class decides.
    """
    operating, classes = spec.operating, spec.class_names
    if operating.thresholds is not None:
        return {name: operating.thresholds[name] for name in classes}
    if operating.stated_threshold is not None:
        return thresholds_at(operating.stated_threshold, classes, findings=spec.findings)
    if not operating.chosen:
        return None
    return choose_thresholds(
        labels_of(validation, classes),
        probabilities_of(validation, classes),
        classes,
        findings=spec.findings,
        sensitivity=operating.finding_sensitivity,
        specificity=operating.finding_specificity,
    )


def judge(spec: DatasetSpec, rows: pd.DataFrame, *, thresholds: Thresholds | None) -> SplitFigures:
    """Figures, intervals and confusion matrix of the predictions on one split.

    Args:
        spec: of the data set.
        rows: the answers, calibrated.
        thresholds: of each class; the likeliest decides if ``None``.
    """
    classes = spec.class_names
    labels, answers = labels_of(rows, classes), decisions_of(rows, classes, thresholds)
    groups = rows["group"].tolist()
    logger.info("figures and intervals on %d images", len(rows))
    return SplitFigures(
        images=len(rows),
        groups=len(set(groups)),
        figures=metrics.measure(labels, answers, findings=spec.findings),
        intervals=intervals.bootstrap(
            labels, answers, groups=groups, seed=spec.split.seed, findings=spec.findings
        ),
        confusion=metrics.confusion(labels, answers).tolist(),
    )


def judge_trust(rows: pd.DataFrame, classes: tuple[str, ...]) -> SplitCalibration:
    """How well probabilities mean what they say, before and after calibration."""
    labels = labels_of(rows, classes)
    before, after = softmax(logits_of(rows, classes), 1), probabilities_of(rows, classes)
    return SplitCalibration(
        before=calibration_figures(before, labels), after=calibration_figures(after, labels)
    )
