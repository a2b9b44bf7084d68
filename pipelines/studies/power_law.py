"""The power law that errors follow as the training set grows: error = a · n^(-b).

Learning curves of networks are close to it between "guesses" and "as good as the labels allow"
(Hestness et al. 2017; of clinical text: Figueroa et al. 2012). Straight in logarithms, it is
fitted by least squares. A real curve flattens in the end, where labels are wrong or images do
not show what was asked; the law knows no such floor, so what it foretells is rather too good.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST_ERROR = 1e-4
"""Stands for no error at all, which has no logarithm."""


@dataclass(frozen=True)
class PowerLaw:
    """Fitted laws, one for each resample of the images that the errors were counted on."""

    scale: NDArray[np.float64]
    """(resamples,) a."""
    exponent: NDArray[np.float64]
    """(resamples,) b; above 0 where errors fall."""

    def error_at(self, images: float) -> NDArray[np.float64]:
        """(resamples,) the error with so many images to train on."""
        return np.asarray(self.scale * images**-self.exponent)


def fit(images: Sequence[int], errors: NDArray[np.float64]) -> PowerLaw:
    """Fit a law to each resample.

    Args:
        images: (sizes,) of each training set; two different ones at least.
        errors: (sizes, resamples) from 0 to 1.

    Raises:
        ValueError: there are fewer than two sizes.
    """
    if len(set(images)) < 2:
        raise ValueError(f"a law needs training sets of two sizes; got {list(images)}")
    logs = np.log(np.maximum(errors, LEAST_ERROR))
    slope, intercept = np.polyfit(np.log(images), logs, 1)
    return PowerLaw(scale=np.exp(intercept), exponent=-slope)
