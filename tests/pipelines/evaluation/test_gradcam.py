"""The closed form is Grad-CAM: it equals automatic differentiation, and points where it should."""

import keras
import numpy as np
import pytest
from keras import layers

from pipelines.evaluation.gradcam import class_activation
from pipelines.evaluation.gradcam_autodiff import class_activation_by_gradients
from pipelines.evaluation.head import dense_head
from pipelines.models.head import backbone
from tests.pipelines.models.zoo import CLASSES, NAMES, model_of, pictures


@pytest.mark.parametrize("name", NAMES)
def test_the_closed_form_equals_automatic_differentiation(name: str) -> None:
    model, image = model_of(name), pictures(1)[0]
    features = np.asarray(backbone(model)(image[None]))[0]
    head = dense_head(model)

    for target in range(CLASSES):
        closed = class_activation(features, head, target)
        gradients = class_activation_by_gradients(model, image, target)
        np.testing.assert_allclose(closed, gradients, atol=1e-4)


HEADS: dict[str, list[layers.Layer]] = {
    "mean": [layers.GlobalAveragePooling2D()],
    "flat": [layers.Flatten()],
    "peaks": [layers.MaxPooling2D(2), layers.Dropout(0.5), layers.Flatten()],
    "norms between": [
        layers.GlobalAveragePooling2D(),
        layers.BatchNormalization(),
        layers.Dense(5, activation="relu"),
        layers.Dense(4),
        layers.BatchNormalization(),
        layers.Dense(5, activation="relu"),
        layers.Rescaling(0.5, offset=1.0),
    ],
}
OTHERS: dict[str, list[layers.Layer]] = {
    "global peaks": [layers.GlobalMaxPooling2D()],
    "wide peaks": [layers.MaxPooling2D(3), layers.Flatten()],
    "another activation": [
        layers.GlobalAveragePooling2D(),
        layers.Dense(5, activation="tanh"),
    ],
}


def _with_head(head: list[layers.Layer]) -> keras.Model:
    keras.utils.set_random_seed(5)
    image = keras.Input((28, 28, 3))
    x = layers.Conv2D(6, 4, strides=4, activation="relu", name="features")(image)
    for layer in head:
        x = layer(x)
    model = keras.Model(image, layers.Dense(3, name="logits")(x))
    rng = np.random.default_rng(5)
    for layer in model.layers:
        layer.set_weights([w + rng.uniform(0.1, 0.3, w.shape) for w in layer.get_weights()])
    return model


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_each_known_head_is_explained_in_closed_form(head: list[layers.Layer]) -> None:
    model = _with_head(head)
    image = np.random.default_rng(2).uniform(-1, 1, (28, 28, 3)).astype(np.float32)
    features = np.asarray(backbone(model)(image[None]))[0]
    dense = dense_head(model)

    assert dense
    for target in range(3):
        closed = class_activation(features, dense, target)
        gradients = class_activation_by_gradients(model, image, target)
        np.testing.assert_allclose(closed, gradients, atol=1e-4)


@pytest.mark.parametrize("head", OTHERS.values(), ids=OTHERS)
def test_other_heads_have_no_closed_form(head: list[layers.Layer]) -> None:
    assert dense_head(_with_head(head)) == []


def test_it_points_at_the_feature_that_speaks_for_the_class() -> None:
    features = np.zeros((5, 5, 2), np.float32)
    features[1, 3, 0] = 4
    features[4, 0, 1] = 4
    hidden = np.eye(2, dtype=np.float32), np.zeros(2, np.float32)
    logits = np.eye(2, dtype=np.float32) * 2 - 1, np.zeros(2, np.float32)

    first = class_activation(features, [hidden, logits], 0)
    second = class_activation(features, [hidden, logits], 1)

    assert np.argwhere(first == 1).tolist() == [[1, 3]]
    assert np.argwhere(second == 1).tolist() == [[4, 0]]
    assert first.max() == second.max() == 1
    assert first[4, 0] == 0


def test_a_silent_hidden_unit_passes_no_gradient_on() -> None:
    features = np.ones((2, 2, 1), np.float32)
    hidden = np.array([[-1.0]], np.float32), np.zeros(1, np.float32)
    logits = np.array([[5.0, -5.0]], np.float32), np.zeros(2, np.float32)

    assert class_activation(features, [hidden, logits], 0).max() == 0


def test_where_nothing_supports_the_class_the_map_is_empty() -> None:
    features = np.ones((3, 3, 2), np.float32)
    logits = np.array([[-1.0, 1.0], [-1.0, 1.0]], np.float32), np.zeros(2, np.float32)

    heat = class_activation(features, [logits], 0)

    assert heat.shape == (3, 3)
    assert heat.dtype == np.float32
    assert heat.max() == 0
