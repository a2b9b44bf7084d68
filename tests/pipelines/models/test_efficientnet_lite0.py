"""The weights are the right ones in the right places: natural pictures get their class."""

import cv2
import numpy as np
import pytest
from sklearn.datasets import load_sample_images

from pipelines.models.efficientnet_lite0 import imagenet_state
from pipelines.models.head import feature_extractor
from pipelines.models.registry import build

PALACE, DAISY = 698, 985
"""Positions of the pictures' classes in ImageNet's list."""


@pytest.mark.parametrize(("picture", "expected"), [(0, PALACE), (1, DAISY)])
def test_sample_pictures_get_their_imagenet_class(picture: int, expected: int) -> None:
    image = load_sample_images().images[picture]
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = cv2.resize(
        image[top : top + side, left : left + side], (224, 224), interpolation=cv2.INTER_AREA
    )
    model = build("efficientnet_lite0", size=224, classes=2, weights="imagenet")
    state = imagenet_state()

    pooled = np.asarray(feature_extractor(model)(square[None].astype(np.float32)))
    logits = pooled @ state["_fc.weight"].T + state["_fc.bias"]

    assert int(logits.argmax()) == expected
