"""Small training sets that a network can learn in an epoch or two."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipelines.data.input.training_set import TrainingSet
from pipelines.outputs import SplitName
from pipelines.spec import CandidateSpec
from tests.pipelines.local_sets import Drawn, write_set

SIZE = 64
CLASSES = ("dark", "bright")
COUNTS: Mapping[SplitName, tuple[int, ...]] = {
    "train": (20, 12),
    "validation": (8, 8),
    "test": (4, 4),
}
"""Split → images of each class."""


def small_set(cache: Path, counts: Mapping[SplitName, tuple[int, ...]] = COUNTS) -> TrainingSet:
    """Checkered images, one class brighter than the other."""
    drawn = np.random.default_rng(7)
    images = []
    for split, of_class in counts.items():
        labels = drawn.permutation(np.repeat(np.arange(len(of_class)), of_class))
        fields = drawn.integers(0, 110, (len(labels), 8, 8, 3)) + 90 * labels[:, None, None, None]
        pixels = fields.repeat(SIZE // 8, axis=1).repeat(SIZE // 8, axis=2).astype(np.uint8)
        images += [
            Drawn(split, image, int(label), f"{CLASSES[label]}/{i}.png")
            for i, (image, label) in enumerate(zip(pixels, labels, strict=True))
        ]
    return write_set(cache, images, CLASSES)


def candidate(**fields: object) -> CandidateSpec:
    """A candidate that trains in seconds."""
    quick = {"name": "quick", "model": "strided_cnn", "recipe": "scratch", "weights": None}
    return CandidateSpec.model_validate(quick | {"epochs": 4, "batch_size": 8} | fields)
