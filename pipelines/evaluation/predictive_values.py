"""Decisions at thresholds: sensitivity, specificity, and predictive values at a prevalence.

Of a test set that is half ill, the share of calls that are right says nothing of a clinic where one
of fifty is. Sensitivity and specificity carry over to another prevalence, predictive values follow
from them (Bayes; Altman and Bland, BMJ 309:102, 1994).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.intervals import Interval, draws, percentiles
from pipelines.evaluation.rates import Rate, rates
from pipelines.evaluation.weighted import ratio

Values = NDArray[np.float64]


class Decided(NamedTuple):
    """What deciding by one threshold comes to."""

    threshold: float
    called: float
    """Share of the images that are called a finding."""
    sensitivity: Rate
    specificity: Rate
    ppv: tuple[float, Interval]
    """Share of images called a finding that have one, at the prevalence; NaN if none is called."""
    npv: tuple[float, Interval]
    """Share of the others that have none; NaN if all are called."""


def predictive_values(
    sensitivity: Values, specificity: Values, prevalence: float
) -> tuple[Values, Values]:
    """Positive and negative predictive value; NaN where nothing is called so."""
    found, alarms = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    missed, cleared = (1 - sensitivity) * prevalence, specificity * (1 - prevalence)
    return ratio(found, found + alarms), ratio(cleared, cleared + missed)


def decided_at(
    ill: NDArray[np.bool_],
    share: Values,
    thresholds: Sequence[float],
    *,
    prevalence: float,
    groups: Sequence[str],
    seed: int,
) -> list[Decided]:
    """Figures of each threshold, with intervals by group.

    Args:
        ill: (n,) whether an image has a finding; both kinds are there.
        share: (n,) what is held against the threshold.
        thresholds: a finding is called above.
        prevalence: share of images with a finding, for the predictive values.
        groups: (n,) what each image belongs to.
        seed: of the resampling.
    """
    called = share[:, None] > np.asarray(thresholds)
    hits, cleared = called & ill[:, None], ~called & ~ill[:, None]
    asked = [np.broadcast_to(kind[:, None], called.shape) for kind in (ill, ~ill)]
    found, spared = (
        rates(marks, of, groups=groups, seed=seed)
        for marks, of in zip((hits, cleared), asked, strict=True)
    )
    values = predictive_values(
        np.array([rate.value for rate in found]),
        np.array([rate.value for rate in spared]),
        prevalence,
    )
    drawn = [
        predictive_values(
            ratio(weights @ hits, (weights @ ill)[:, None]),
            ratio(weights @ cleared, (weights @ ~ill)[:, None]),
            prevalence,
        )
        for weights in draws(groups, seed=seed)
    ]
    positive, negative = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
    return [
        Decided(
            threshold=float(threshold),
            called=float(called[:, k].mean()),
            sensitivity=found[k],
            specificity=spared[k],
            ppv=(float(values[0][k]), _bounds(positive[:, k])),
            npv=(float(values[1][k]), _bounds(negative[:, k])),
        )
        for k, threshold in enumerate(thresholds)
    ]


def _bounds(drawn: Values) -> Interval:
    if np.isnan(drawn).all():
        return Interval(float("nan"), float("nan"))
    return percentiles(drawn)
