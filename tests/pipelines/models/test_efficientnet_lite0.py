"""The weights are the right ones in the right places: natural pictures get their class."""

import cv2
import keras
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_sample_images

from pipelines.models.efficientnet_lite0 import imagenet_state
from pipelines.models.head import FEATURES, feature_extractor
from pipelines.models.registry import build

PALACE, DAISY = 698, 985
"""Positions of the pictures' classes in ImageNet's list."""


def middle_of(picture: int) -> NDArray[np.float32]:
    """The square in the middle of a sample picture, (1, 224, 224, 3)."""
    image = load_sample_images().images[picture]
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = cv2.resize(
        image[top : top + side, left : left + side], (224, 224), interpolation=cv2.INTER_AREA
    )
    return np.asarray(square[None], np.float32)


@pytest.mark.parametrize(("picture", "expected"), [(0, PALACE), (1, DAISY)])
def test_sample_pictures_get_their_imagenet_class(picture: int, expected: int) -> None:
    model = build("efficientnet_lite0", size=224, classes=2, weights="imagenet")
    state = imagenet_state()

    pooled = np.asarray(feature_extractor(model)(middle_of(picture)))
    logits = pooled @ state["_fc.weight"].T + state["_fc.bias"]

    assert int(logits.argmax()) == expected


@pytest.mark.parametrize("picture", [0, 1])
def test_a_mirrored_picture_gives_the_mirrored_map(picture: int) -> None:
    # Padded evenly at stride 2, as PyTorch does, the likeness of the two is 0.5.
    model = build("efficientnet_lite0", size=224, classes=2, weights="imagenet")
    network = keras.Model(model.input, model.get_layer(FEATURES).output)
    square = middle_of(picture)

    maps = np.asarray(network(square))[0]
    mirrored = np.asarray(network(square[:, :, ::-1]))[0, :, ::-1]

    likeness = np.vdot(maps, mirrored) / (np.linalg.norm(maps) * np.linalg.norm(mirrored))
    assert likeness > 0.85
