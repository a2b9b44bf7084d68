"""Bootstrap confidence intervals of every figure, resampled by group.

Images of one patient are not independent, so whole groups are drawn with replacement (the
cluster bootstrap; Field and Welsh 2007). A resample is a weight for each image: how often its
group was drawn. All resamples are computed at once from the weights, in NumPy: 1,000 of them
in seconds where a loop over scikit-learn takes minutes. The figures are those of
`pipelines.evaluation.metrics` with ``sample_weight``.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.metrics import MEASURES, Labels, Probabilities

RESAMPLES = 1000
BLOCK_VALUES = 4_000_000
"""Most numbers in one array at a time: 32 MB."""

Weights = NDArray[np.float64]


class Interval(NamedTuple):
    """A confidence interval."""

    low: float
    high: float


def bootstrap(
    labels: Labels,
    probabilities: Probabilities,
    classes: Sequence[str],
    *,
    groups: Sequence[str],
    seed: int,
    resamples: int = RESAMPLES,
    confidence: float = 0.95,
) -> dict[str, Interval]:
    """Percentile intervals of all figures.

    Args:
        labels: (n,) index of the true class.
        probabilities: (n, classes).
        classes: their names.
        groups: (n,) what each image belongs to (patient, lesion, cluster of copies).
        seed: of the resampling; the same seed gives the same intervals.
        resamples: how many.
        confidence: share of resamples between the bounds.

    Returns:
        name → interval, named as by `metrics.measure`. A resample in which a figure is
        undefined (no image of the class was drawn) does not count for it.
    """
    drawn = [
        weighted(labels, probabilities, classes, weights=weights)
        for weights in draws(groups, seed=seed, resamples=resamples)
    ]
    tail = 50 * (1 - confidence)
    bounds = {}
    for name in drawn[0]:
        values = np.concatenate([part[name] for part in drawn])
        low, high = np.nanpercentile(values, [tail, 100 - tail])
        bounds[name] = Interval(float(low), float(high))
    return bounds


def draws(groups: Sequence[str], *, seed: int, resamples: int = RESAMPLES) -> Iterator[Weights]:
    """How often each image was drawn, in each resample of whole groups.

    Args:
        groups: (n,) what each image belongs to.
        seed: of the resampling.
        resamples: how many, in all.

    Yields:
        (some of the resamples, n) weights, as many at once as `BLOCK_VALUES` allows.
    """
    _, members = np.unique(np.asarray(groups), return_inverse=True)
    rng = np.random.default_rng(seed)
    count = int(members.max()) + 1
    block = max(1, BLOCK_VALUES // len(members))
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        times = rng.multinomial(count, np.full(count, 1 / count), size=rows)
        yield times[:, members].astype(np.float64)


def weighted(
    labels: Labels, probabilities: Probabilities, classes: Sequence[str], *, weights: Weights
) -> dict[str, NDArray[np.float64]]:
    """All figures under many weightings of the images at once.

    Args:
        labels: (n,) index of the true class.
        probabilities: (n, classes).
        classes: their names.
        weights: (resamples, n), not negative.

    Returns:
        name → (resamples,), named as by `metrics.measure`; NaN where undefined.
    """
    indices = np.arange(len(classes))
    predicted = probabilities.argmax(axis=1)
    truth = (labels[:, None] == indices).astype(np.float64)
    decided = (predicted[:, None] == indices).astype(np.float64)
    total = weights.sum(axis=1, keepdims=True)
    positives, claimed = weights @ truth, weights @ decided
    hits = weights @ (truth * decided)
    ranked = [_areas(truth[:, i], probabilities[:, i], weights) for i in indices]
    by_measure = {
        "sensitivity": _ratio(hits, positives),
        "specificity": 1 - _ratio(claimed - hits, total - positives),
        "precision": np.nan_to_num(_ratio(hits, claimed), nan=0.0),
        "f1": np.nan_to_num(_ratio(2 * hits, positives + claimed), nan=0.0),
        "auroc": np.stack([auroc for auroc, _ in ranked], axis=1),
        "auprc": np.stack([auprc for _, auprc in ranked], axis=1),
    }
    return {
        "accuracy": hits.sum(axis=1) / total[:, 0],
        **{f"macro_{name}": by_measure[name].mean(axis=1) for name in MEASURES},
        **{
            f"{name}.{of}": by_measure[name][:, i]
            for name in MEASURES
            for i, of in enumerate(classes)
        },
    }


def _areas(
    positive: NDArray[np.float64], score: Probabilities, weights: Weights
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Areas under the ROC curve (trapezoids) and the precision-recall curve (steps).

    Args:
        positive: (n,) 1 for the class, 0 for the rest.
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
    auroc = _ratio((wrong * (true - gained / 2)).sum(axis=1), true[:, -1] * false[:, -1])
    precision = np.nan_to_num(_ratio(true, claimed), nan=0.0)
    auprc = _ratio((gained * precision).sum(axis=1), true[:, -1])
    return auroc, auprc


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(whole > 0, part / whole, np.nan))
