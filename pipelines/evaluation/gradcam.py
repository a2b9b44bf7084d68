"""Grad-CAM in closed form: where the last feature map supports a class.

Selvaraju et al. 2017 (arXiv 1610.02391): the map of class c is ``relu(sum_k a_k A_k)``, with
``a_k`` the mean over positions of the gradient of the class's score (before softmax) with respect
to feature map A_k. Behind global average pooling that gradient is the same at every position, so
a few small matrix products through the head's weights give it; no second pass is needed. Plain
numpy: the service runs it for every explanation.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Head = Sequence[tuple[Floats, Floats]]
"""(kernel (in, out), bias (out,)) of each dense layer behind the pooling; ReLU between them."""


def class_activation(features: Floats, head: Head, target: int) -> Floats:
    """Where a feature map supports a class.

    Args:
        features: float32 (h, w, k), the last feature map.
        head: the dense layers from pooled features to logits.
        target: index of the class.

    Returns:
        float32 (h, w), 0 to 1; all zero where nothing supports the class.
    """
    weights = feature_weights(features.mean(axis=(0, 1)), head, target)
    return normalised(np.maximum(features @ weights, 0))


def feature_weights(pooled: Floats, head: Head, target: int) -> Floats:
    """Gradient of a class's logit with respect to the pooled features.

    Args:
        pooled: float32 (k,).
        head: as for `class_activation`.
        target: index of the class.

    Returns:
        float32 (k,); Grad-CAM's weights up to the number of positions, a constant factor.
    """
    active, value = [], pooled
    for kernel, bias in head[:-1]:
        value = np.maximum(value @ kernel + bias, 0)
        active.append(value > 0)
    gradient = head[-1][0][:, target]
    for (kernel, _), on in zip(reversed(head[:-1]), reversed(active), strict=True):
        gradient = kernel @ (gradient * on)
    return np.asarray(gradient, np.float32)


def normalised(heat: Floats) -> Floats:
    """Scale a map of values from 0 up, so that its largest is 1; zeros stay zeros."""
    top = float(heat.max())
    return np.asarray(heat / top if top > 0 else heat, np.float32)
