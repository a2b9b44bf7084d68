"""How unlike the training images an image is, by its place in the model's feature space.

The pooled last feature map, scaled to length 1 (Mueller and Hein, "Mahalanobis++", ICML 2025), is
measured against one Gaussian fitted to the training images: the Mahalanobis distance (Lee et al.,
"A Simple Unified Framework for Detecting Out-of-Distribution Samples", NeurIPS 2018) under
probabilistic PCA (Tipping and Bishop 1999), so that a direction the training images never vary in
counts, too. docs/decisions/novelty.md says what else was tried.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

AXES = 64
"""Principal axes whose variances are kept one by one; the rest share one."""
LEAST_VARIANCE = 1e-8
"""Of a feature that never varies; rounding moves a feature by less than its root."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Novelty:
    """The training images as a Gaussian, and the distance that is still taken for like them."""

    mean: Floats
    """(channels,)"""
    axes: Floats
    """(a, channels), orthonormal."""
    variances: Floats
    """(a,) along the axes."""
    residual_variance: float
    """In each direction besides."""
    limit: float = np.inf
    """The largest distance of an image that is like the training images."""

    def distances(self, pooled: Floats) -> Floats:
        """Mahalanobis distances, float32 (n,), of pooled feature maps (n, channels); infinite
        for features that are not finite, which are certainly not like the training images."""
        finite = np.asarray(np.isfinite(pooled).all(axis=1))
        centred = unit(np.where(finite[:, None], pooled, 0)) - self.mean
        along = centred @ self.axes.T
        gain = 1 / self.variances - 1 / self.residual_variance
        squared = (centred**2).sum(axis=1) / self.residual_variance + along**2 @ gain
        return np.where(finite, np.sqrt(np.maximum(squared, 0)), np.inf).astype(np.float32)

    def unlikeness(self, features: Floats) -> Floats:
        """Distances, float32 (n,), of feature maps (n, h, w, channels), as multiples of the
        limit."""
        return np.asarray(self.distances(pool(features)) / self.limit, np.float32)

    def save(self, path: Path) -> None:
        """Write it as ``.npz``; it holds no pixels."""
        np.savez(path, **asdict(self))

    @classmethod
    def load(cls, path: Path) -> "Novelty":
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as saved:
            return cls(
                mean=saved["mean"],
                axes=saved["axes"],
                variances=saved["variances"],
                residual_variance=float(saved["residual_variance"]),
                limit=float(saved["limit"]),
            )


def fit_novelty(training: Iterable[Floats], validation: Floats, *, false_alarms: float) -> Novelty:
    """Learn what training images look like to a model, and how far is too far.

    Args:
        training: pooled feature maps, batches of (n, channels), of the training images.
        validation: (n, channels), of images the model did not learn from.
        false_alarms: share of these that may lie beyond the limit.

    Images with features that are not finite are left out, so that one of them does not turn the
    whole reference, and with it every later answer, into numbers that compare with nothing.
    """
    from scipy.special import chdtri  # not at import: the service never fits

    fitted = _gaussian(training)
    distances = fitted.distances(validation[np.isfinite(validation).all(axis=1)])
    allowed = float(np.quantile(distances, 1 - false_alarms, method="higher"))
    # nor is what the Gaussian itself would draw too far, however alike the images are
    drawn = float(np.sqrt(chdtri(len(fitted.mean), false_alarms)))
    return replace(fitted, limit=max(allowed, drawn))


def pool(features: Floats) -> Floats:
    """Mean over the places of feature maps: (n, h, w, channels) → (n, channels)."""
    batch, channels = len(features), features.shape[-1]
    return np.asarray(features.reshape(batch, -1, channels).mean(axis=1), np.float32)


def unit(pooled: Floats) -> Floats:
    """The same directions, of length 1; what is 0 stays 0."""
    length = np.linalg.norm(pooled, axis=1, keepdims=True)
    return np.asarray(pooled / np.maximum(length, 1e-12), np.float32)


def _gaussian(training: Iterable[Floats]) -> Novelty:
    """By running sums in float64: memory does not grow with the number of images."""
    count: int = 0
    total: NDArray[np.float64] | float = 0.0
    products: NDArray[np.float64] | float = 0.0
    for batch in training:
        vectors = unit(batch[np.isfinite(batch).all(axis=1)]).astype(np.float64)
        count += len(vectors)
        total = total + vectors.sum(axis=0)
        products = products + vectors.T @ vectors
    mean = np.asarray(total) / count
    spread, axes = np.linalg.eigh(np.asarray(products) / count - np.outer(mean, mean))
    spread = np.maximum(spread[::-1], LEAST_VARIANCE)
    kept = min(AXES, len(spread) - 1)
    return Novelty(
        mean=mean.astype(np.float32),
        axes=np.ascontiguousarray(axes[:, ::-1][:, :kept].T, np.float32),
        variances=spread[:kept].astype(np.float32),
        residual_variance=float(spread[kept:].mean()),
    )
