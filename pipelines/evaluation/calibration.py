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
    """Expected calibration error of the decided class, `BINS` bins of equal width, 0 to 1."""
    nll: float
    """Mean negative log-likelihood, in nats."""
    brier: float
    """Brier score: mean squared distance from the true class's indicator, 0 to 2."""


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
    bins = reliability(exact, labels)
    gaps = sum(b.images * abs(b.confidence - b.accuracy) for b in bins)
    return CalibrationFigures(
        ece=gaps / len(labels),
        nll=float(-np.log(of_truth.clip(min=np.finfo(np.float32).tiny)).mean()),
        brier=float(((exact - truth) ** 2).sum(axis=1).mean()),
    )


def reliability(probabilities: Probabilities, labels: Labels, *, bins: int = BINS) -> list[Bin]:
    """Images by confidence, in bins of equal width; empty bins are left out."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    members = [place == number for number in range(bins)]
    return [
        Bin(int(here.sum()), float(confidence[here].mean()), float(right[here].mean()))
        for here in members
        if here.any()
    ]
