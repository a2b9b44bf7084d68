"""The closed form is Grad-CAM: it equals automatic differentiation, and points where it should."""

import numpy as np
import pytest

from pipelines.evaluation.gradcam import class_activation
from pipelines.evaluation.gradcam_autodiff import class_activation_by_gradients
from pipelines.evaluation.head import dense_head
from pipelines.models.head import backbone
from pipelines.models.registry import FAMILIES, build


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_the_closed_form_equals_automatic_differentiation(name: str) -> None:
    model = build(name, size=96, classes=4, weights=None)
    rng = np.random.default_rng(3)
    for layer in model.layers:  # biases and statistics away from their zero beginnings
        layer.set_weights([w + rng.normal(0, 0.05, w.shape) ** 2 for w in layer.get_weights()])
    image = rng.uniform(0, 255, (96, 96, 3)).astype(np.float32)
    features = np.asarray(backbone(model)(image[None]))[0]

    for target in range(4):
        closed = class_activation(features, dense_head(model), target)
        gradients = class_activation_by_gradients(model, image, target)
        np.testing.assert_allclose(closed, gradients, atol=1e-4)


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
