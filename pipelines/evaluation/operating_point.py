"""Which class is decided for: the likeliest, or one that must not be missed.

The likeliest class is right most often, and takes a missed tumour for no worse than a false alarm.
Thresholds weigh that: a class is decided for whose probability exceeds its threshold by the
largest factor. Two thresholds are enough: t for every finding and 1 - t for every other class, so
that an image is called a finding where p / t > q / (1 - t), p and q being the likeliest of either
kind. For two classes that is p > t.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.calibration import Labels, Probabilities

EVEN = 0.5
"""At which the likeliest class is decided for."""
LEAST = 1e-3
"""A lower threshold would call nearly everything a finding; one above 1 - `LEAST` hardly
anything."""

Thresholds = Mapping[str, float]
"""Class → probability, above 0."""


def decide(
    probabilities: Probabilities, classes: Sequence[str], thresholds: Thresholds | None
) -> NDArray[np.intp]:
    """(n,) index of the class decided for; the likeliest without thresholds.

    `pipelines.evaluation.decisions.Decisions` holds the result with what it rests on; whatever
    counts right and wrong takes that.

    Args:
        probabilities: (n, classes).
        classes: their names.
        thresholds: of each class.
    """
    return np.asarray(weigh(probabilities, classes, thresholds).argmax(axis=1), np.intp)


def weigh(
    probabilities: Probabilities, classes: Sequence[str], thresholds: Thresholds | None
) -> Probabilities:
    """(n, classes) each probability divided by its class's threshold, scaled to sum to 1.

    The largest decides, and its value says how clearly: two classes that are equally far above
    their thresholds get 0.5 each. Without thresholds, or with equal ones, it is the probability.
    With thresholds t for a finding and 1 - t for the rest it is the share of the expected cost,
    where a missed finding costs (1 - t) / t false alarms (docs/decisions/operating-point.md).

    Args:
        probabilities: (n, classes).
        classes: their names.
        thresholds: of each class; ``None`` for none.
    """
    if thresholds is None:
        return probabilities
    limits = np.array([thresholds[name] for name in classes], probabilities.dtype)
    weighed = probabilities / limits
    return np.asarray(weighed / weighed.sum(axis=1, keepdims=True))


def choose_thresholds(
    labels: Labels,
    probabilities: Probabilities,
    classes: Sequence[str],
    *,
    findings: Sequence[str],
    sensitivity: float | None = None,
    specificity: float | None = None,
) -> dict[str, float]:
    """The thresholds of a target sensitivity or specificity, or of Youden's J if neither is given.

    Args:
        labels: (n,) index of the true class, of images the model did not learn from and is not
            judged by.
        probabilities: (n, classes).
        classes: their names.
        findings: those of them that are findings, not all.
        sensitivity: the share of images with a finding that must be called one. The threshold
            is at most 0.5, the likeliest class, where that misses few enough.
        specificity: the share of images without a finding that must not be called one.

    Returns:
        Class → threshold.
    """
    harmful = np.isin(classes, findings)
    ill, share = harmful[labels], finding_share(probabilities, harmful)
    if sensitivity is not None:
        found = min(EVEN, threshold_for(ill, share, sensitivity=sensitivity))
    elif specificity is not None:
        found = threshold_at(ill, share, specificity=specificity)
    else:
        found = youden(ill, share)
    return thresholds_at(float(np.clip(found, LEAST, 1 - LEAST)), classes, findings=findings)


def thresholds_at(
    threshold: float, classes: Sequence[str], *, findings: Sequence[str]
) -> dict[str, float]:
    """Class → threshold: that of findings, and what is left of 1 for the others."""
    return {name: threshold if name in findings else 1 - threshold for name in classes}


def threshold_for(
    ill: NDArray[np.bool_], share: NDArray[np.float64], *, sensitivity: float
) -> float:
    """The highest threshold above which that many of the images with a finding lie, at least.

    Args:
        ill: (n,) whether an image has a finding; one at least.
        share: (n,) see `finding_share`.
        sensitivity: the least share of them.
    """
    missed = int(np.floor((1 - sensitivity) * ill.sum() + 1e-9))
    return halfway_below(float(np.sort(share[ill])[missed]), share)


def threshold_at(
    ill: NDArray[np.bool_], share: NDArray[np.float64], *, specificity: float
) -> float:
    """The lowest threshold below which that many of the images without a finding lie, at least.

    Args:
        ill: (n,) whether an image has a finding; not all have.
        share: (n,) see `finding_share`.
        specificity: the least share of the images without one.
    """
    alarms = int(np.floor((1 - specificity) * (~ill).sum() + 1e-9))
    return halfway_above(float(np.sort(share[~ill])[::-1][alarms]), share)


def youden(ill: NDArray[np.bool_], share: NDArray[np.float64]) -> float:
    """The threshold of the largest sensitivity + specificity - 1 (Youden, Cancer 3:32, 1950).

    Where no threshold is better than chance, every image is called a finding: a model that knows
    nothing must not say that nothing is there.
    """
    from sklearn.metrics import roc_curve  # not at import: the service only decides

    # The first point calls no image, and has no finite threshold.
    false, true, limits = (values[1:] for values in roc_curve(ill, share))
    return halfway_below(float(limits[np.argmax(true - false)]), share)


def halfway_below(value: float, share: NDArray[np.float64]) -> float:
    """Between a value and the next lower one of the images, so that neither is a matter of
    rounding."""
    below = share[share < value]
    return (value + float(below.max())) / 2 if len(below) else value / 2


def halfway_above(value: float, share: NDArray[np.float64]) -> float:
    """Between a value and the next higher one of the images."""
    above = share[share > value]
    return (value + float(above.min())) / 2 if len(above) else (value + 1) / 2


def finding_share(probabilities: Probabilities, harmful: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(n,) the threshold below which each image is called a finding, 0 to 1: p / (p + q), p and q
    being the likeliest finding's and the likeliest other class's probability.

    Args:
        probabilities: (n, classes).
        harmful: (classes,) which of them are findings.
    """
    exact = np.asarray(probabilities, np.float64)
    finding, other = exact[:, harmful].max(axis=1), exact[:, ~harmful].max(axis=1)
    return np.asarray(finding / (finding + other), np.float64)
