"""Maps of many images at once are those of each image alone, for heads of any form."""

import keras
import numpy as np
import pytest

from pipelines.evaluation.gradcam_autodiff import class_activation_by_gradients
from pipelines.evaluation.network import Network
from pipelines.evidence.heat import Explainer
from pipelines.models.registry import build


def flattened_head() -> keras.Model:
    """A small network whose head is no pooling, so that only gradients explain it."""
    image = keras.Input((64, 64, 3), name="image")
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.Conv2D(6, 3, strides=8, padding="same", name="block0_conv")(x)
    x = keras.layers.ReLU(name="features")(x)
    x = keras.layers.Flatten(name="vector")(x)
    x = keras.layers.Dense(3, name="logits")(x)
    return keras.Model(image, keras.layers.Softmax(name="probabilities")(x))


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("form", ["pooled", "flattened"])
def test_a_batch_s_maps_are_those_of_automatic_differentiation(form: str, frozen: bool) -> None:
    keras.utils.set_random_seed(4)
    if form == "pooled":
        model = build("small_cnn", size=64, classes=3, weights=None)
    else:
        model = flattened_head()
    pictures = np.random.default_rng(1).integers(0, 255, (35, 64, 64, 3)).astype(np.uint8)
    targets = np.arange(35) % 3
    expected = [
        class_activation_by_gradients(model, picture.astype(np.float32), int(target))
        for picture, target in zip(pictures[:6], targets, strict=False)
    ]
    if frozen:
        for layer in model.layers[:-2]:
            layer.trainable = False

    found = Explainer(Network(model)).activations(pictures, targets)

    assert len(found) == 35
    np.testing.assert_allclose(found[:6], expected, atol=1e-4)


def test_maps_are_drawn_over_the_whole_picture() -> None:
    model = flattened_head()
    pictures = np.random.default_rng(1).integers(0, 255, (3, 64, 64, 3)).astype(np.uint8)

    heats = Explainer(Network(model)).heats(pictures, np.array([0, 1, 2]))

    assert heats.shape == (3, 64, 64)
    assert heats.dtype == np.float32
    assert heats.min() >= 0
    assert heats.max() <= 1
