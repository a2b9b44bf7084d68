"""Whether a heat map lies where it should: on the body, and on the lesion that a mask shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from pipelines.evaluation.intervals import Interval, draws
from pipelines.evidence.heat import Maps, Pictures
from pipelines.imaging.body import body_mask

AnyT = TypeVar("AnyT", bound=np.generic)
Values = NDArray[np.float64]
"""(n,) a figure of each image; NaN where it has none."""
SPREAD = 0.25
"""Standard deviation of the centre's heat, as a share of the picture's side."""


@dataclass(frozen=True)
class Pointing:
    """How well maps find what masks show, image by image; (n,) each."""

    hits: Values
    """Pointing game (Zhang et al. 2018, doi 10.1007/s11263-017-1059-x): 1 where the hottest pixel
    lies in the mask, else 0. No tolerance around the mask is given."""
    energy: Values
    """Share of the heat that lies in the mask (Wang et al. 2020, arXiv 1910.01279)."""


def pointing(heats: Maps, masks: NDArray[np.bool_]) -> Pointing:
    """Hold maps against masks; a map without heat misses and has no energy inside.

    Args:
        heats: (n, size, size).
        masks: (n, size, size), true on the lesion.
    """
    flat, inside = _flat(heats), _flat(masks)
    hottest = np.take_along_axis(inside, flat.argmax(axis=1)[:, None], axis=1)[:, 0]
    return Pointing(
        hits=(hottest & (flat.max(axis=1) > 0)).astype(np.float64),
        energy=np.nan_to_num(_share(flat, inside)),
    )


def by_chance(masks: NDArray[np.bool_]) -> Pointing:
    """What a map that knows nothing is expected to come to: the mask's share of the picture."""
    shares = masks.mean(axis=(1, 2), dtype=np.float64)
    return Pointing(hits=shares, energy=shares)


def centre(size: int) -> NDArray[np.float32]:
    """A map, float32 (size, size), that is hottest in the middle, whatever the picture shows."""
    distance = (np.arange(size) - (size - 1) / 2) / (SPREAD * size)
    across = np.exp(-(distance**2) / 2)
    return np.outer(across, across).astype(np.float32)


def inside_body(heats: Maps, pictures: Pictures) -> Values:
    """Share of each map's heat on the body; NaN where there is no heat."""
    bodies = np.stack([body_mask(picture) for picture in pictures])
    return _share(_flat(heats), _flat(bodies))


def mean_interval(values: Values, groups: Sequence[str], *, seed: int) -> Interval:
    """95 % interval of a mean over images, resampled by group; images without a value are out."""
    known = ~np.isnan(values)
    weights = np.concatenate(list(draws(np.asarray(groups)[known].tolist(), seed=seed)))
    means = weights @ values[known] / weights.sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(low), float(high))


def hits_interval(hits: Values, groups: Sequence[str], *, seed: int) -> Interval:
    """95 % interval of the pointing game; Wilson's where all maps hit, or none did, as resampling
    then shows no spread."""
    if 0 < hits.mean() < 1:
        return mean_interval(hits, groups, seed=seed)
    independent = len(set(groups))
    bounds = binomtest(round(hits.mean()) * independent, independent).proportion_ci(method="wilson")
    return Interval(float(bounds.low), float(bounds.high))


def gain_interval(hits: Values, chance: Values, groups: Sequence[str], *, seed: int) -> Interval:
    """95 % interval of the pointing game less what a map that knows nothing comes to."""
    if 0 < hits.mean() < 1:
        return mean_interval(hits - chance, groups, seed=seed)
    low, high = hits_interval(hits, groups, seed=seed)
    return Interval(low - float(chance.mean()), high - float(chance.mean()))


def _flat(maps: NDArray[AnyT]) -> NDArray[AnyT]:
    """(n, h, w) as (n, pixels), also where there are none."""
    return maps.reshape(len(maps), maps.shape[1] * maps.shape[2])


def _share(heat: Maps, inside: NDArray[np.bool_]) -> Values:
    total = heat.sum(axis=1, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        return np.asarray((heat * inside).sum(axis=1, dtype=np.float64) / total)
