"""The power law that errors follow as the training set grows: error = a · n^(-b).

Learning curves of networks are close to it between "guesses" and "as good as the labels allow"
(Hestness et al. 2017; of clinical text: Figueroa et al. 2012). Straight in logarithms, it is
fitted by least squares. A real curve flattens in the end, where labels are wrong or images do
not show what was asked; the law knows no such floor, so it is too optimistic there.

Two things vary by chance. *Training*: other weights and another choice of images give another
error, so each size is trained several times, and the variance within a size is measured.
*Judging*: other validation images give another error, to all trainings at once; resampling them
says how much. The variance of what is read off the law is the sum of both (the small part that
both count makes it a little too large), with Welch and Satterthwaite's degrees of freedom.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

LEAST_ERROR = 1e-4
"""Stands for no error at all, which has no logarithm."""
LEAST_REPEATS = 5
"""Trainings of each size below which their variance is not known well enough to say anything."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A value with the interval that holds the true one in 95 % of all cases."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class PowerLaw:
    """A law fitted to the errors of several trainings of each size."""

    log_images: Floats
    """(sizes,)"""
    means: Floats
    """(sizes,) mean logarithm of the errors of a size's trainings."""
    variances: Floats
    """(sizes,) of each mean, by training."""
    repeats: int
    resampled: Floats
    """(sizes, resamples) the same means on resamples of the validation images."""

    @property
    def exponent(self) -> Estimate:
        """b: above 0 where errors fall."""
        return self._combined(-self._slope)

    def error_at(self, images: float) -> Estimate:
        """The mean error of trainings on so many images."""
        level = np.full(len(self.means), 1 / len(self.means))
        away = np.log(images) - self.log_images.mean()
        log = self._combined(level + away * self._slope)
        return Estimate(*(float(np.exp(value)) for value in (log.value, log.low, log.high)))

    def error_of(self, size: int) -> Estimate:
        """The mean error of trainings of one size, without the law."""
        log = self._combined(np.eye(len(self.means))[size])
        return Estimate(*(float(np.exp(value)) for value in (log.value, log.low, log.high)))

    @property
    def _slope(self) -> Floats:
        """(sizes,) weights of the means in the fitted slope."""
        centred = self.log_images - self.log_images.mean()
        return np.asarray(centred / (centred**2).sum())

    def _combined(self, weights: Floats) -> Estimate:
        """The weighted sum of the means."""
        value = float(weights @ self.means)
        by_training = weights**2 * self.variances
        # A figure is undefined on resamples that lack a class.
        by_judging = float(np.nanvar(weights @ self.resampled))
        variance = float(by_training.sum()) + by_judging
        squares = float((by_training**2).sum()) / (self.repeats - 1)
        freedom = variance**2 / squares if squares else np.inf
        reach = float(stats.t.ppf(0.975, freedom)) * variance**0.5
        return Estimate(value, value - reach, value + reach)


def fit(
    images: Sequence[float], errors: Floats, resampled: Floats, *, least: float = LEAST_ERROR
) -> PowerLaw:
    """Fit a law.

    Args:
        images: (sizes,) of each training set; two different ones at least.
        errors: (sizes, repeats) from 0 to 1, of each training; `LEAST_REPEATS` at least.
        resampled: (sizes, repeats, resamples) the same on resamples of the validation images,
            the same resamples for all trainings.
        least: what stands for no error at all; half an image, where errors are shares of images.

    Raises:
        ValueError: there are fewer than two sizes, or too few trainings of each.
    """
    if len(set(images)) < 2:
        raise ValueError(f"a law needs training sets of two sizes; got {list(images)}")
    repeats = errors.shape[1]
    if repeats < LEAST_REPEATS:
        raise ValueError(f"a law needs {LEAST_REPEATS} trainings of each size; got {repeats}")
    logs = np.log(np.maximum(errors, least))
    return PowerLaw(
        log_images=np.log(np.asarray(images, np.float64)),
        means=logs.mean(axis=1),
        variances=logs.var(axis=1, ddof=1) / repeats,
        repeats=repeats,
        resampled=np.log(np.maximum(resampled, least)).mean(axis=1),
    )
