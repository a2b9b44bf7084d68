"""Every model of the zoo keeps the zoo's promises."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from pipelines.errors import SpecError, WeightsError
from pipelines.models.head import backbone, blocks, feature_extractor, head_on_features
from pipelines.models.registry import build
from tests.pipelines.models.zoo import CLASSES, NAMES, model_of, pictures


@pytest.fixture(params=NAMES)
def model(request: pytest.FixtureRequest) -> keras.Model:
    return model_of(request.param)


def test_it_maps_grey_levels_to_probabilities(model: keras.Model) -> None:
    answer = np.asarray(model(pictures(2)))

    assert model.input.name == "image"
    assert answer.shape == (2, CLASSES)
    np.testing.assert_allclose(answer.sum(axis=1), 1, atol=1e-5)


def test_it_names_its_last_feature_map_and_its_logits(model: keras.Model) -> None:
    assert len(model.get_layer("features").output.shape) == 4
    assert model.get_layer("logits").output.shape[-1] == CLASSES


def test_its_head_reads_what_its_backbone_makes(model: keras.Model) -> None:
    ask = keras.Model(model.input, model.get_layer("logits").output)
    pooled = feature_extractor(model)(pictures(2))

    np.testing.assert_allclose(head_on_features(model)(pooled), ask(pictures(2)), atol=1e-4)


def test_a_model_that_is_only_called_does_not_train(model: keras.Model) -> None:
    told = np.asarray(model(pictures(2)))

    np.testing.assert_array_equal(told, np.asarray(model(pictures(2), training=False)))


EXPECTED_BLOCKS = {
    "densenet121": ["conv1", "conv2_block1", "conv5_block16", "bn"],
    "efficientnet_lite0": ["stem", "block0", "block15", "top"],
    "inception_v3": ["block0", "block1", "block9", "block10"],
    "resnet50": ["conv1", "conv2_block1", "conv5_block2", "conv5_block3"],
    "separable_cnn": ["block0", "block1", "block3", "block4"],
    "small_cnn": ["block0", "block1", "block1", "block2"],
    "strided_cnn": ["block0", "block1", "block2", "block3"],
}


def test_its_backbone_can_be_thawed_block_by_block(model: keras.Model) -> None:
    found = blocks(model)

    names = [{layer.name for layer in block} for block in found]
    ends = [names[0], names[1], names[-2], names[-1]]
    for block, expected in zip(ends, EXPECTED_BLOCKS[model.name], strict=True):
        assert all(name.startswith(expected) for name in block), (block, expected)
    thawed = sum(len(block) for block in found)
    assert thawed == len({name for block in names for name in block})


@pytest.mark.parametrize("name", ["strided_cnn", "small_cnn"])
def test_it_saves_and_loads_the_same(name: str, tmp_path: Path) -> None:
    model = model_of(name)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")

    np.testing.assert_array_equal(np.asarray(loaded(pictures(1))), np.asarray(model(pictures(1))))


@pytest.mark.parametrize("name", ["strided_cnn", "separable_cnn"])
@pytest.mark.parametrize("ending", [".weights.h5", ".keras"])
def test_its_backbone_can_begin_another_model(name: str, ending: str, tmp_path: Path) -> None:
    model, file = model_of(name), tmp_path / f"b{ending}"
    backbone(model).save_weights(file) if ending == ".weights.h5" else model.save(file)

    other = build(name, size=64, classes=4, weights=str(file))

    kernel = next(layer.name for layer in model.layers if layer.weights)
    np.testing.assert_array_equal(
        other.get_layer(kernel).get_weights()[0], model.get_layer(kernel).get_weights()[0]
    )


def test_an_unknown_model_lists_the_known_ones() -> None:
    with pytest.raises(SpecError, match=r"'resnet9'.*densenet121, efficientnet_lite0, inception"):
        build("resnet9", size=64, classes=2, weights=None)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("small_cnn", {"blocks": 9}, "option blocks is 9: .*less than or equal to 6"),
        ("small_cnn", {"units": "many"}, "option units is 'many': .*valid integer"),
        ("small_cnn", {"layers": 2}, "'small_cnn' has no option 'layers'"),
        ("separable_cnn", {"dropout": 0.1}, "'separable_cnn' has no option 'dropout'"),
    ],
)
def test_options_that_a_family_does_not_take_are_named(
    name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        build(name, size=64, classes=2, weights=None, options=options)


def test_options_make_another_model() -> None:
    model = build(
        "small_cnn",
        size=64,
        classes=3,
        weights=None,
        input_size=96,
        dropout=0.25,
        options={"blocks": 4, "filters": 8, "most_filters": 32, "units": 16},
    )

    assert model.input.shape[1:3] == (64, 64)
    assert [model.get_layer(f"block{i}_conv").filters for i in range(4)] == [8, 16, 32, 32]
    assert model.get_layer("features").output.shape[1:3] == (12, 12)
    assert (model.get_layer("hidden").units, model.get_layer("dropout").rate) == (16, 0.25)


def test_weights_that_do_not_exist_are_said_plainly() -> None:
    with pytest.raises(WeightsError, match="no ImageNet weights for 'strided_cnn'"):
        build("strided_cnn", size=64, classes=2, weights="imagenet")
    with pytest.raises(WeightsError, match=r"no weights file nowhere\.keras"):
        build("strided_cnn", size=64, classes=2, weights="nowhere.keras")


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    other = build("strided_cnn", size=64, classes=2, weights=None)
    backbone(other).save_weights(tmp_path / "b.weights.h5")

    with pytest.raises(WeightsError, match="does not fit efficientnet_lite0"):
        build("efficientnet_lite0", size=64, classes=2, weights=str(tmp_path / "b.weights.h5"))


@pytest.mark.parametrize(
    ("name", "parameters", "not_trainable"),
    [
        ("densenet121", 7_300_418, 83_648),
        ("inception_v3", 22_065_697, 34_688),
        ("resnet50", 24_112_770, 53_120),
        ("separable_cnn", 2_314_337, 960),
        ("small_cnn", 2_153_858, 0),
    ],
)
def test_published_models_have_the_published_number_of_weights(
    name: str, parameters: int, not_trainable: int
) -> None:
    model = model_of(name)

    still = sum(int(np.prod(w.shape)) for w in model.non_trainable_weights)
    assert (model.count_params(), still) == (parameters, not_trainable)


@pytest.mark.parametrize("name", ["inception_v3", "separable_cnn"])
def test_two_classes_share_a_sigmoid_unit(name: str) -> None:
    model = model_of(name)
    unit = keras.Model(model.input, model.get_layer("unit").output)(pictures(3))

    answer = np.asarray(model(pictures(3)))

    np.testing.assert_allclose(answer[:, 1], keras.ops.sigmoid(unit)[:, 0], atol=1e-6)
