"""Every model of the zoo keeps the zoo's promises."""

from pathlib import Path

import keras
import numpy as np
import pytest

from pipelines.errors import SpecError, WeightsError
from pipelines.models.registry import FAMILIES, build
from pipelines.models.weights import save_backbone

IMAGES = np.random.default_rng(1).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def model(request: pytest.FixtureRequest) -> keras.Model:
    return build(request.param, size=64, classes=3, weights=None)


def test_it_maps_grey_levels_to_probabilities(model: keras.Model) -> None:
    answer = np.asarray(model(IMAGES))

    assert model.input.name == "image"
    assert answer.shape == (2, 3)
    np.testing.assert_allclose(answer.sum(axis=1), 1, atol=1e-5)


def test_it_names_its_last_feature_map_and_its_logits(model: keras.Model) -> None:
    assert len(model.get_layer("features").output.shape) == 4
    assert model.get_layer("logits").output.shape[-1] == 3


def test_it_saves_and_loads_the_same(model: keras.Model, tmp_path: Path) -> None:
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")

    np.testing.assert_array_equal(np.asarray(loaded(IMAGES)), np.asarray(model(IMAGES)))


def test_its_backbone_can_begin_another_model(model: keras.Model, tmp_path: Path) -> None:
    save_backbone(model, tmp_path / "b.weights.h5")

    other = build(model.name, size=64, classes=2, weights=str(tmp_path / "b.weights.h5"))

    kernel = next(layer.name for layer in model.layers if layer.weights)
    np.testing.assert_array_equal(
        other.get_layer(kernel).get_weights()[0], model.get_layer(kernel).get_weights()[0]
    )


def test_an_unknown_model_lists_the_known_ones() -> None:
    with pytest.raises(SpecError, match=r"'resnet9'.*efficientnet_lite0, strided_cnn"):
        build("resnet9", size=64, classes=2, weights=None)


def test_weights_that_do_not_exist_are_said_plainly() -> None:
    with pytest.raises(WeightsError, match="no ImageNet weights for 'strided_cnn'"):
        build("strided_cnn", size=64, classes=2, weights="imagenet")
    with pytest.raises(WeightsError, match=r"no weights file nowhere\.keras"):
        build("strided_cnn", size=64, classes=2, weights="nowhere.keras")


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    other = build("strided_cnn", size=64, classes=2, weights=None)
    save_backbone(other, tmp_path / "b.weights.h5")

    with pytest.raises(WeightsError, match="does not fit efficientnet_lite0"):
        build("efficientnet_lite0", size=64, classes=2, weights=str(tmp_path / "b.weights.h5"))
