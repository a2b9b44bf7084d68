"""How often a model is right, estimated without labels from how sure it is.

A calibrated confidence is the chance of being right, so the mean confidence of a window is its
expected accuracy (confidence-based performance estimation, as in NannyML; for the idea see Guerra
et al. 2019). What "calibrated" is worth is learnt from the reference: confidence → share right,
by isotonic regression (Zadrozny and Elkan, KDD 2002). docs/monitoring.md says how far off it was
on drifted pictures.

It is blind to *concept drift*: where the same pictures come to mean another class, answers and
confidences stay as they were.
"""

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from sklearn.isotonic import isotonic_regression

from pipelines.errors import WindowError
from pipelines.monitoring.answers import Answers
from pipelines.monitoring.reference import Reference

RESAMPLES = 200
CONFIDENCE = 0.95

Floats = NDArray[np.float64]


class Estimate(BaseModel):
    """The accuracy that a window's confidences promise."""

    model_config = ConfigDict(frozen=True)

    images: int
    accuracy: float
    """Expected share of right answers, 0 to 1."""
    low: float
    high: float
    """Bounds that hold 95 % of what chance makes of it: which images came, which of them are
    right, and which the reference was made from. Drift of the confidences themselves is not in
    them."""
    reference: float
    """Share of right answers on the reference."""


def estimate(reference: Reference, window: Answers, *, seed: int = 0) -> Estimate:
    """Expected accuracy of a window's answers.

    Args:
        reference: of the model that answered, with its labels.
        window: at least one answer.
        seed: of the resampling; the same seed gives the same interval.

    Raises:
        WindowError: there is no answer in the window.
    """
    if not len(window):
        raise WindowError("The window has no answers, so nothing can be estimated of it.")
    curve = _Curve(reference.answers.confidence, reference.right)
    members = _members(reference.answers)
    groups = int(members.max()) + 1
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(RESAMPLES):
        times = rng.multinomial(groups, np.full(groups, 1 / groups))[members]
        chances = curve.at(window.confidence, weights=times)
        draws.append((rng.random(len(window)) < chances).mean())
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(draws, [tail, 100 - tail])
    promised = curve.at(window.confidence, weights=np.ones(len(members)))
    return Estimate(
        images=len(window),
        accuracy=float(promised.mean()),
        low=float(low),
        high=float(high),
        reference=float(reference.right.mean()),
    )


class _Curve:
    """Confidence → chance of being right, as it was on answers that are known.

    Args:
        sure: (n,) their confidences.
        right: (n,) whether they were.
    """

    def __init__(self, sure: NDArray[np.floating], right: NDArray[np.bool_]) -> None:
        self._sure, self._place = np.unique(sure, return_inverse=True)
        self._right = right

    def at(self, asked: NDArray[np.floating], *, weights: NDArray[np.number]) -> Floats:
        """(m,) chances at (m,) confidences, if each known answer has its (n,) weight."""
        images = np.bincount(self._place, weights)
        drawn = images > 0
        hits = np.bincount(self._place, weights * self._right)[drawn]
        rising = isotonic_regression(hits / images[drawn], sample_weight=images[drawn])
        return np.asarray(np.interp(asked, self._sure[drawn], rising), np.float64)


def _members(answers: Answers) -> NDArray[np.int64]:
    """(n,) number of each row's group; a group of its own where none is known."""
    if answers.groups is None:
        return np.arange(len(answers))
    return np.unique(np.asarray(answers.groups), return_inverse=True)[1]
