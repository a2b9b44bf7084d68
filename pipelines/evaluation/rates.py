"""Shares of images with their intervals: how many of those it is asked of are hit."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.intervals import RESAMPLES, Interval, draws, percentiles, wilson
from pipelines.evaluation.weighted import ratio

Marks = NDArray[np.bool_]


class Rate(NamedTuple):
    """A share of images."""

    value: float
    interval: Interval
    """95 %, by resampling groups."""
    images: int
    """It is a share of."""
    groups: int
    """They stand in."""


def rates(
    hits: Marks,
    asked: Marks,
    *,
    groups: Sequence[str],
    seed: int,
    resamples: int = RESAMPLES,
) -> list[Rate]:
    """The share of hits among the images asked, for many questions at once.

    Args:
        hits: (n, questions) whether an image is a hit.
        asked: (n, questions) whether the question is asked of it; of one at least.
        groups: (n,) what each image belongs to.
        seed: of the resampling.
        resamples: how many.

    Returns:
        A rate for each question. Where all or none are hits, so they are in every resample: there
        the interval is Wilson's (1927) of as many images as there are groups.
    """
    both = (hits & asked).astype(np.float64)
    of = asked.astype(np.float64)
    drawn = np.concatenate(
        [
            ratio(weights @ both, weights @ of)
            for weights in draws(groups, seed=seed, resamples=resamples)
        ]
    )
    names = np.asarray(groups)
    found = []
    for question in range(asked.shape[1]):
        images = int(of[:, question].sum())
        value = float(both[:, question].sum() / images)
        units = len(np.unique(names[asked[:, question]]))
        interval = percentiles(drawn[:, question])
        if value in (0, 1):
            interval = wilson(value, units)
        found.append(Rate(value, interval, images, units))
    return found
