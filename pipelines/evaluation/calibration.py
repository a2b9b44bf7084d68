"""Probabilities that mean what they say: temperature scaling, and the figures that show it.

Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017: dividing
the logits by one number, fitted where the model did not learn, cures most overconfidence and
never changes which class is the likeliest.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

BINS = 15
COLDEST, HOTTEST = 0.5, 20.0
"""Of a few validation images, all right, the best temperature is 0: the model would be made quite
sure of everything. What is fitted stays within these."""

Labels = NDArray[np.integer]
Logits = NDArray[np.floating]
Probabilities = NDArray[np.floating]


class CalibrationFigures(BaseModel):
    """How far probabilities are from what they claim to be; 0 is perfect."""

    model_config = ConfigDict(frozen=True)

    ece: float
    """Expected calibration error of the likeliest class, `BINS` bins of equal width, 0 to 1. By
    definition (Guo et al. 2017), whichever class thresholds decide for: it judges the
    probabilities, not the decisions."""
    nll: float
    """Mean negative log-likelihood, in nats."""
    brier: float
    """Brier score: mean squared distance from the true class's indicator, 0 to 2."""
    ece_adaptive: float = float("nan")
    """As ``ece``, with as many images in each bin (Nixon et al., CVPR workshops 2019). Not a
    number in evaluations of older code, as the next."""
    ece_classwise: float = float("nan")
    """Mean over the classes of the error of each class's probability, whichever class is decided
    for (Kull et al., NeurIPS 2019)."""


@dataclass(frozen=True)
class Bin:
    """Images of about the same confidence."""

    images: int
    confidence: float
    """Their mean confidence."""
    accuracy: float
    """How many of them were right."""


def softmax(logits: Logits, temperature: float) -> NDArray[np.float32]:
    """Calibrated probabilities.

    Args:
        logits: (..., classes), before softmax.
        temperature: what they are divided by; above 1 makes the model less sure.

    Returns:
        float32 (..., classes), summing to 1.
    """
    scaled = np.exp((logits - logits.max(axis=-1, keepdims=True)) / temperature)
    return np.asarray(scaled / scaled.sum(axis=-1, keepdims=True), np.float32)


def fit_temperature(logits: Logits, labels: Labels) -> float:
    """The temperature of the least negative log-likelihood.

    Args:
        logits: (n, classes) of images the model did not learn from.
        labels: (n,) index of the true class.

    Returns:
        A number from `COLDEST` to `HOTTEST`.
    """
    from scipy.optimize import minimize_scalar  # not at import: the service never fits

    exact = np.asarray(logits, np.float64)
    exact = exact - exact.max(axis=1, keepdims=True)
    of_truth = exact[np.arange(len(labels)), labels]

    def loss(log_temperature: float) -> float:
        temperature = np.exp(log_temperature)
        partition = np.log(np.exp(exact / temperature).sum(axis=1))
        return float((partition - of_truth / temperature).mean())

    bounds = (np.log(COLDEST), np.log(HOTTEST))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def calibration_figures(probabilities: Probabilities, labels: Labels) -> CalibrationFigures:
    """The figures of (n, classes) probabilities of images with (n,) true classes."""
    exact = np.asarray(probabilities, np.float64)
    of_truth = exact[np.arange(len(labels)), labels]
    truth = labels[:, None] == np.arange(exact.shape[1])
    confidence, right = exact.max(axis=1), exact.argmax(axis=1) == labels
    surest_last = np.argsort(confidence, kind="stable")
    return CalibrationFigures(
        ece=_error(confidence, right, _place(confidence, BINS)),
        nll=float(-np.log(of_truth.clip(min=np.finfo(np.float32).tiny)).mean()),
        brier=float(((exact - truth) ** 2).sum(axis=1).mean()),
        ece_adaptive=_error(
            confidence[surest_last],
            right[surest_last],
            np.arange(len(labels)) * BINS // len(labels),
        ),
        ece_classwise=float(
            np.mean(
                [
                    _error(exact[:, k], truth[:, k], _place(exact[:, k], BINS))
                    for k in range(exact.shape[1])
                ]
            )
        ),
    )


def reliability(probabilities: Probabilities, labels: Labels, *, bins: int = BINS) -> list[Bin]:
    """Images by the likeliest class's probability, in bins of equal width; empty ones are left out.
    Of the likeliest class by definition, as `CalibrationFigures.ece` is."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    place = _place(confidence, bins)
    members = [place == number for number in range(bins)]
    return [
        Bin(int(here.sum()), float(confidence[here].mean()), float(right[here].mean()))
        for here in members
        if here.any()
    ]


def _place(probability: NDArray[np.floating], bins: int) -> NDArray[np.intp]:
    """(n,) number of the bin, of equal widths, that each probability falls into."""
    return np.minimum((probability * bins).astype(np.intp), bins - 1)


def _error(
    probability: NDArray[np.floating], happened: NDArray[np.bool_], place: NDArray[np.intp]
) -> float:
    """How far, on average, what was promised in a bin is from what happened.

    Args:
        probability: (n,) that was given.
        happened: (n,) whether it did.
        place: (n,) number of the bin.
    """
    gaps = np.bincount(place, weights=probability - happened)
    return float(np.abs(gaps).sum() / len(place))
