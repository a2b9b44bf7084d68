"""McNemar's test: which of two models is right more often on the same images?

Only images on which exactly one of the two is right carry information (McNemar 1947). Images of
one patient are not independent, so the test is Obuchowski's for clustered pairs (Statistics in
Medicine 17:1495, 1998).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from pipelines.evaluation.paired import Difference

Right = NDArray[np.bool_]


class Discordant(NamedTuple):
    """How often exactly one of two models is right."""

    ours: int
    theirs: int


def discordant(ours: Right, theirs: Right) -> Discordant:
    """Count the images on which the models part; both are (n,) whether a model is right."""
    return Discordant(int((ours & ~theirs).sum()), int((theirs & ~ours).sum()))


def clustered(
    ours: Right, theirs: Right, *, groups: Sequence[str], confidence: float = 0.95
) -> Difference:
    """The difference of two shares of right answers on images that come in groups.

    Args:
        ours: (n,) whether one model is right; of the images of one class, this compares
            sensitivities.
        theirs: (n,) whether the other is.
        groups: (n,) what each image belongs to; two groups at least.
        confidence: of the interval (Wald's, with the variance between groups).

    Returns:
        The difference with Obuchowski's p. Where the models never part, the interval is a point
        and p is 1.

    Raises:
        ValueError: all images are of one group, so that nothing is known of chance.
    """
    _, members = np.unique(np.asarray(groups), return_inverse=True)
    images = np.bincount(members)
    count = len(images)
    if count < 2:
        raise ValueError("all images are of one group; the comparison needs two groups at least")
    gains = np.bincount(members, weights=ours.astype(float) - theirs.astype(float))
    value = float(gains.sum() / images.sum())
    scale = np.sqrt(count / (count - 1)) / images.sum()
    apart = float(scale * np.sqrt(((gains - value * images) ** 2).sum()))
    apart_by_chance = float(scale * np.sqrt((gains**2).sum()))
    reach = float(norm.ppf(0.5 + confidence / 2)) * apart
    p = 2 * float(norm.sf(abs(value) / apart_by_chance)) if apart_by_chance > 0 else 1.0
    return Difference(value, value - reach, value + reach, p)
