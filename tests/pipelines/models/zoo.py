"""One small model of each family of the zoo, built once for all tests."""

from functools import cache

import keras
import numpy as np

from pipelines.models.families import FAMILIES
from pipelines.models.registry import build

NAMES = sorted(FAMILIES)
SIZE = 256
CLASSES = 2


@cache
def model_of(name: str) -> keras.Model:
    """A model for pictures of `SIZE`, as if it were trained: no bias or statistic is still 0."""
    keras.utils.set_random_seed(1)
    model = build(name, size=SIZE, classes=CLASSES, weights=None)
    rng = np.random.default_rng(3)
    for layer in model.layers:
        moved = [w + rng.uniform(0, 0.1, w.shape) * (w.ndim == 1) for w in layer.get_weights()]
        layer.set_weights(moved)
    return model


def pictures(count: int) -> np.ndarray:
    """Noise, float32 (count, SIZE, SIZE, 3), 0 to 255."""
    drawn = np.random.default_rng(1).uniform(0, 255, (count, SIZE, SIZE, 3))
    return drawn.astype(np.float32)
