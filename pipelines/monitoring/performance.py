"""Measured performance: how often the served answers were right, once their labels have come."""

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.stats import binomtest

from pipelines.errors import WindowError
from pipelines.evaluation.decisions import Decisions
from pipelines.evaluation.intervals import Interval, bootstrap
from pipelines.evaluation.weighted import weighted


class MeasuredPerformance(BaseModel):
    """The figures of answers whose true class is known."""

    model_config = ConfigDict(frozen=True)

    images: int
    accuracy: float
    """Share whose decided class is the true one, 0 to 1."""
    low: float
    high: float
    """95 % interval: the wider, on either side, of Wilson's and of a bootstrap by group."""
    figures: dict[str, float]
    """Of the class that the service decided for, named as by
    `pipelines.evaluation.metrics.measure`; without those that a class without images leaves
    undefined."""
    intervals: dict[str, Interval]
    """Of each of these."""


def measure_performance(
    answers: Decisions,
    labels: NDArray[np.integer],
    *,
    groups: Sequence[str] | None = None,
    seed: int = 0,
) -> MeasuredPerformance:
    """Measure answers by their labels.

    Args:
        answers: as the service recorded them; abstained ones count too.
        labels: (n,) index of the true class.
        groups: (n,) patient ID of each image; each image is a group of its own if unknown.
        seed: of the resampling.

    Raises:
        WindowError: there is no labelled answer, or a label is not one of the classes.
    """
    classes = answers.classes
    if not len(labels):
        raise WindowError("No answer has a label yet, so nothing can be measured.")
    strange = (labels < 0) | (labels >= len(classes))
    if strange.any():
        raise WindowError(
            f"{strange.sum()} labels are not one of {', '.join(classes)}; leave these answers out."
        )
    units = [str(row) for row in range(len(labels))] if groups is None else list(groups)
    once = weighted(labels, answers, weights=np.ones((1, len(labels))))
    figures = {name: float(value[0]) for name, value in once.items() if np.isfinite(value[0])}
    with warnings.catch_warnings():  # NumPy's, of figures that are undefined in every resample
        warnings.simplefilter("ignore", RuntimeWarning)
        bounds = bootstrap(labels, answers, groups=units, seed=seed)
    right = answers.right(labels)
    low, high = _interval(right, units, seed=seed)
    return MeasuredPerformance(
        images=len(labels),
        accuracy=float(right.mean()),
        low=low,
        high=high,
        figures=figures,
        intervals={name: bounds[name] for name in figures},
    )


def _interval(right: NDArray[np.bool_], units: Sequence[str], *, seed: int) -> Interval:
    """Of the share of right answers. Where all are right, resamples are too: Wilson's interval
    knows that the next may not be."""
    wilson = binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
    _, member = np.unique(np.asarray(units), return_inverse=True)
    count = int(member.max()) + 1
    rng = np.random.default_rng(seed)
    times = rng.multinomial(count, np.full(count, 1 / count), size=1000)
    images, hits = np.bincount(member), np.bincount(member, weights=right)
    low, high = np.percentile((times @ hits) / (times @ images), [2.5, 97.5])
    return Interval(min(float(low), float(wilson.low)), max(float(high), float(wilson.high)))
