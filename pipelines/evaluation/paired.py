"""Two models on the same images: by how much one is better, and how sure that is.

The paired cluster bootstrap: each resample draws whole groups (patients, lesions), asks both
models about the same draw, and takes the difference. It holds for every figure and for images that
are not independent of one another (Field and Welsh 2007), where McNemar's and DeLong's tests, in
their plain form, hold for one figure each and for independent images. Those stand in `mcnemar` and
`delong`, for the readers who expect them; the report of a release shows them beside the rules.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipelines.evaluation.decisions import Decisions
from pipelines.evaluation.intervals import RESAMPLES, draws, gathered, percentiles
from pipelines.evaluation.targets import Labels
from pipelines.evaluation.weighted import Values, Weights, weighted


class Difference(NamedTuple):
    """By how much a figure of one model exceeds the other's."""

    value: float
    """Ours less theirs."""
    low: float
    high: float
    """The 95 % interval, unless another confidence was asked for."""
    p: float
    """Two-sided: how often chance alone makes a difference as large where there is none."""


def paired_bootstrap(
    labels: Labels,
    ours: Decisions,
    theirs: Decisions,
    *,
    groups: Sequence[str],
    seed: int,
    findings: Sequence[str] = (),
    resamples: int = RESAMPLES,
    confidence: float = 0.95,
) -> dict[str, Difference]:
    """The difference of every figure between two models that answered the same images.

    Args:
        labels: (n,) index of the true class.
        ours: what one model answered to the n images.
        theirs: what the other answered, with the same classes in the same order.
        groups: (n,) what each image belongs to.
        seed: of the resampling; the same seed gives the same differences.
        findings: those of the classes that are findings.
        resamples: how many.
        confidence: share of resamples between the bounds.

    Returns:
        name → difference, named as by `metrics.measure`. Figures that are undefined on these
        images (those of a class without any) are left out.
    """

    def apart(weights: Weights) -> dict[str, Values]:
        one, other = (
            weighted(labels, answers, weights=weights, findings=findings)
            for answers in (ours, theirs)
        )
        return {name: one[name] - other[name] for name in one}

    seen = apart(np.ones((1, len(labels))))
    drawn = gathered(apart(weights) for weights in draws(groups, seed=seed, resamples=resamples))
    return {
        name: difference(float(value[0]), drawn[name], confidence=confidence)
        for name, value in seen.items()
        if np.isfinite(value[0])
    }


def difference(value: float, drawn: Values, *, confidence: float = 0.95) -> Difference:
    """A difference with what resampling says of it.

    Args:
        value: what was seen.
        drawn: (resamples,) the same in each resample; NaN where undefined.
        confidence: share of resamples between the bounds.
    """
    low, high = percentiles(drawn, confidence=confidence)
    defined = drawn[np.isfinite(drawn)]
    beyond = min(int((defined <= 0).sum()), int((defined >= 0).sum())) + 1
    return Difference(value, low, high, min(1.0, 2 * beyond / (len(defined) + 1)))
