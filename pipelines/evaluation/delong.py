"""DeLong's test: by how much do two areas under the ROC curve differ?

DeLong, DeLong and Clarke-Pearson, Biometrics 44:837 (1988), by ranks as in Sun and Xu, IEEE Signal
Processing Letters 21:1389 (2014). Images of one patient are not independent: each image's share
in the area is added up over its group first (Obuchowski, Biometrics 53:567, 1997). Where each
image is a group of its own, that is DeLong's test.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

from pipelines.evaluation.paired import Difference

Scores = NDArray[np.floating]
Values = NDArray[np.float64]


def delong(
    positive: NDArray[np.bool_],
    ours: Scores,
    theirs: Scores,
    *,
    groups: Sequence[str],
    confidence: float = 0.95,
) -> Difference:
    """The difference of two areas under the ROC curve on the same images.

    Args:
        positive: (n,) whether an image is of the class; both kinds come in two groups at least.
        ours: (n,) what one model gives the class.
        theirs: (n,) what the other does.
        groups: (n,) what each image belongs to.
        confidence: of the interval.

    Returns:
        The difference with its p; where the models rank all alike, the interval is a point.

    Raises:
        ValueError: the positive or the negative images are all of one group.
    """
    _, members = np.unique(np.asarray(groups), return_inverse=True)
    area, hits = placements(positive, ours)
    other_area, other_hits = placements(positive, theirs)
    value = area - other_area
    apart = np.sqrt(_variance(positive, hits - other_hits, value, members))
    reach = float(norm.ppf(0.5 + confidence / 2)) * apart
    p = 2 * float(norm.sf(abs(value) / apart)) if apart > 0 else 1.0
    return Difference(value, float(value - reach), float(value + reach), p)


def placements(positive: NDArray[np.bool_], scores: Scores) -> tuple[float, Values]:
    """The area, and each image's share in it (DeLong's structural components).

    Returns:
        The area under the ROC curve; (n,) of a positive image the share of negative ones that
        it is ranked above, of a negative one the share of positive ones above it, ties half.
    """
    everywhere = rankdata(scores)
    within = np.empty_like(everywhere)
    within[positive], within[~positive] = rankdata(scores[positive]), rankdata(scores[~positive])
    positives, negatives = int(positive.sum()), int((~positive).sum())
    below = everywhere - within
    shares = np.where(positive, below / negatives, 1 - below / positives)
    return float(shares[positive].mean()), shares


def _variance(
    positive: NDArray[np.bool_], shares: Values, area: float, members: NDArray[np.intp]
) -> float:
    """Obuchowski's variance of an area, or of a difference of two, from its shares."""
    count = int(members.max()) + 1
    sums, kinds = [], (positive, ~positive)
    for kind in kinds:
        groups = len(np.unique(members[kind]))
        if groups < 2:
            name = "positive" if kind is positive else "negative"
            raise ValueError(f"the {name} images are all of one group; two are needed at least")
        gathered = np.bincount(members, weights=np.where(kind, shares - area, 0.0), minlength=count)
        sums.append((gathered / kind.sum(), groups / (groups - 1)))
    (above, correction), (below, other_correction) = sums
    shared = count / (count - 1) * float(above @ below)
    within = correction * float(above @ above) + other_correction * float(below @ below)
    return max(0.0, within + 2 * shared)
