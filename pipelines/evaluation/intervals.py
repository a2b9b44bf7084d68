"""Bootstrap confidence intervals of every figure, resampled by group.

Images of one patient are not independent, so whole groups are drawn with replacement (the
cluster bootstrap; Field and Welsh 2007). A resample is a weight for each image: how often its
group was drawn; `weighted` computes all of them at once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from pipelines.evaluation.decisions import Decisions
from pipelines.evaluation.targets import Labels, Targets, targets_of
from pipelines.evaluation.weighted import Values, Weights, weighted

RESAMPLES = 1000
BLOCK_VALUES = 4_000_000
"""Most numbers in one array at a time: 32 MB."""


class Interval(NamedTuple):
    """A confidence interval."""

    low: float
    high: float


def bootstrap(
    labels: Labels,
    answers: Decisions,
    *,
    groups: Sequence[str],
    seed: int,
    findings: Sequence[str] = (),
    resamples: int = RESAMPLES,
    confidence: float = 0.95,
) -> dict[str, Interval]:
    """Percentile intervals of all figures.

    Args:
        labels: (n,) index of the true class.
        answers: to the n images.
        groups: (n,) what each image belongs to (patient, lesion, cluster of copies).
        seed: of the resampling; the same seed gives the same intervals.
        findings: those of the classes that are findings.
        resamples: how many.
        confidence: share of resamples between the bounds.

    Returns:
        name → interval, named as by `metrics.measure`. A resample in which a figure is
        undefined (no image of the class was drawn) does not count for it. Where all or none of
        the images are right, so they are in every resample: there the interval is Wilson's of as
        many images as there are groups. The calibration error has a reflected interval: see
        `reflected`.
    """

    def under(weights: Weights) -> dict[str, Values]:
        return weighted(labels, answers, weights=weights, findings=findings)

    drawn = gathered(under(weights) for weights in draws(groups, seed=seed, resamples=resamples))
    bounds = {name: percentiles(values, confidence=confidence) for name, values in drawn.items()}
    seen = float(under(np.ones((1, len(labels))))["ece"][0])
    asked = _asked(targets_of(labels, answers, findings=findings))
    units = np.asarray(groups)
    certain = {
        name: wilson(bounds[name].low, len(np.unique(units[of])))
        for name, of in asked.items()
        if of.any() and bounds[name] in ((0, 0), (1, 1))
    }
    return bounds | certain | {"ece": reflected(bounds["ece"], seen)}


def _asked(targets: Targets) -> dict[str, NDArray[np.bool_]]:
    """Figure that is a share of images → (n,) of which."""
    of = {
        "sensitivity": targets.truth,
        "specificity": ~targets.truth,
        "precision": targets.decided,
        "npv": ~targets.decided,
    }
    shares = {
        f"{name}.{target}": images[:, index]
        for name, images in of.items()
        for index, target in enumerate(targets.names)
    }
    return shares | {"accuracy": np.ones(len(targets.truth), bool)}


def wilson(value: float, units: int) -> Interval:
    """Wilson's 95 % interval of a share of independent units (1927)."""
    found = binomtest(round(value * units), units).proportion_ci(method="wilson")
    return Interval(float(found.low), float(found.high))


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


def percentiles(values: NDArray[np.float64], *, confidence: float = 0.95) -> Interval:
    """The bounds that hold the middle share ``confidence`` of the values that are defined."""
    tail = 50 * (1 - confidence)
    low, high = np.nanpercentile(values, [tail, 100 - tail])
    return Interval(float(low), float(high))


def reflected(interval: Interval, seen: float) -> Interval:
    """The basic bootstrap interval of a figure that resampling makes larger.

    Chance moves each bin of a calibration error away from the diagonal, and drawing again does so
    once more, so that resamples lie above what was seen. By as much as they do, the truth lies
    below it (Davison and Hinkley, "Bootstrap Methods", 1997, section 5.2). What was seen always
    stands within.

    Args:
        interval: of the resamples.
        seen: the figure on the images themselves.
    """
    low, high = 2 * seen - interval.high, 2 * seen - interval.low
    return Interval(min(seen, max(0.0, low)), max(seen, high))


def gathered(blocks: Iterable[Mapping[str, Values]]) -> dict[str, Values]:
    """name → (resamples,) of blocks of resamples."""
    parts = list(blocks)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
