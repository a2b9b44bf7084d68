"""The sanity check: what a model has learned must be in its maps, or the check says so."""

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.evaluation.network import Network
from pipelines.evidence.heat import Explainer
from pipelines.evidence.randomisation import cascade, correlation
from pipelines.models.registry import build


@pytest.fixture
def pictures() -> NDArray[np.uint8]:
    drawn = np.random.default_rng(2).integers(0, 255, (4, 8, 8, 3))
    return drawn.repeat(12, axis=1).repeat(12, axis=2).astype(np.uint8)


def blobs_model() -> keras.Model:
    """A model whose map is how bright the picture is, whatever its weights: no learning in it."""
    image = keras.Input((96, 96, 3), name="image")
    x = keras.layers.AveragePooling2D(12)(image)
    x = keras.layers.Conv2D(1, 1, kernel_initializer="ones", name="block0_conv")(x)
    x = keras.layers.ReLU(name="features")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pooling")(x)
    x = keras.layers.Dense(1, kernel_initializer="ones", name="logits")(x)
    return keras.Model(image, keras.layers.Softmax(name="probabilities")(x))


def test_a_trained_network_s_maps_do_not_outlive_its_weights(pictures: NDArray[np.uint8]) -> None:
    explainer = Explainer(Network(build("small_cnn", size=96, classes=3, weights=None)))

    stages = cascade(explainer, pictures, np.array([0, 1, 2, 0]), seed=3)

    assert [round(stage.correlation, 6) for stage in stages[:1]] == [1]
    assert abs(stages[-1].correlation) < 0.5
    assert len(stages) == 5


def test_maps_that_only_show_the_picture_are_found_out(pictures: NDArray[np.uint8]) -> None:
    stages = cascade(Explainer(Network(blobs_model())), pictures, np.zeros(4, np.int64), seed=3)

    assert stages[-1].correlation == pytest.approx(1)


def test_the_model_has_its_own_weights_afterwards(pictures: NDArray[np.uint8]) -> None:
    explainer = Explainer(Network(build("small_cnn", size=96, classes=2, weights=None)))
    before = [w.copy() for w in explainer.model.get_weights()]

    cascade(explainer, pictures, np.array([0, 1, 0, 1]), seed=3)

    after = explainer.model.get_weights()
    assert all((a == b).all() for a, b in zip(before, after, strict=True))


def test_the_same_seed_gives_the_same_figures(pictures: NDArray[np.uint8]) -> None:
    explainer = Explainer(Network(build("small_cnn", size=96, classes=2, weights=None)))
    targets = np.array([0, 1, 0, 1])

    first = cascade(explainer, pictures, targets, seed=3)
    again = cascade(explainer, pictures, targets, seed=3)
    other = cascade(explainer, pictures, targets, seed=4)

    assert [s.correlation for s in first] == [s.correlation for s in again]
    assert first[-1].correlation != other[-1].correlation


def test_an_empty_map_is_like_no_other() -> None:
    full, empty = np.random.default_rng(1).random((1, 4, 4), np.float32), np.zeros((1, 4, 4))

    assert correlation(full, full) == pytest.approx(1)
    assert correlation(full, empty.astype(np.float32)) == 0
    assert correlation(full, 1 - full) == pytest.approx(-1)
