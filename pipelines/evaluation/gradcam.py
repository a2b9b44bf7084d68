"""Grad-CAM in closed form: where the last feature map supports a class.

Selvaraju et al. 2017 (arXiv 1610.02391): the map of class c is ``relu(sum_k a_k A_k)``, with
``a_k`` the mean over positions of the gradient of the class's score (before softmax) with respect
to feature map A_k. Behind global average pooling that gradient is the same at every position, so
a few small matrix products through the head's weights give it; no second pass is needed. The same
holds behind a flattened map, where a few products more give it for each position, and behind
maximum pooling, which hands each gradient on to one of its positions and so leaves the mean as it
is. Plain numpy: the service runs it for every explanation.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Head = Sequence[tuple[Floats, Floats]]
"""(kernel (in, out), bias (out,)) of each dense layer; ReLU between them. The first takes the mean
over positions (k numbers), the map itself (h w k), or the map after 2 x 2 maximum pooling."""


def class_activation(features: Floats, head: Head, target: int) -> Floats:
    """Where a feature map supports a class.

    Args:
        features: float32 (h, w, k), the last feature map.
        head: the dense layers from the feature map, made a vector, to the logits.
        target: index of the class.

    Returns:
        float32 (h, w), 0 to 1; all zero where nothing supports the class.
    """
    vector = _vector(features, length=len(head[0][0]))
    gradient = score_gradient(vector, head, target)
    weights = gradient.reshape(-1, features.shape[-1]).sum(axis=0)
    return normalised(np.maximum(features @ weights, 0))


def score_gradient(vector: Floats, head: Head, target: int) -> Floats:
    """Gradient of a class's logit with respect to what the head reads.

    Args:
        vector: float32 (n,).
        head: as for `class_activation`.
        target: index of the class.

    Returns:
        float32 (n,).
    """
    active, value = [], vector
    for kernel, bias in head[:-1]:
        value = np.maximum(value @ kernel + bias, 0)
        active.append(value > 0)
    gradient = head[-1][0][:, target]
    for (kernel, _), on in zip(reversed(head[:-1]), reversed(active), strict=True):
        gradient = kernel @ (gradient * on)
    return np.asarray(gradient, np.float32)


def _vector(features: Floats, length: int) -> Floats:
    """A feature map (h, w, k) as a vector of the length that its head takes."""
    height, width, channels = features.shape
    if length == channels:
        return np.asarray(features.mean(axis=(0, 1)), np.float32)
    if length == features.size:
        return features.reshape(-1)
    rows, columns = height // 2, width // 2
    windows = features[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2, channels)
    return np.asarray(windows.max(axis=(1, 3)).reshape(-1), np.float32)


def normalised(heat: Floats) -> Floats:
    """Scale a map of values from 0 up, so that its largest is 1; zeros stay zeros."""
    top = float(heat.max())
    return np.asarray(heat / top if top > 0 else heat, np.float32)
