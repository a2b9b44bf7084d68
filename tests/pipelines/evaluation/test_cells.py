"""The heat is drawn where the model looked."""

import cv2
import keras
import numpy as np
import pytest
from keras import layers
from sklearn.datasets import load_sample_images

from pipelines.errors import BundleError
from pipelines.evaluation.cells import Cells, spread, stretched
from pipelines.evaluation.geometry import cells_of
from pipelines.evaluation.gradcam import class_activation
from pipelines.models.head import backbone
from pipelines.models.registry import build
from tests.pipelines.models.zoo import NAMES, SIZE, model_of

EXPECTED = {
    "densenet121": Cells(first=14, stride=32),
    "efficientnet_lite0": Cells(first=31, stride=32),
    "inception_v3": Cells(first=63.5, stride=54.61),
    "resnet50": Cells(first=0, stride=32),
    "separable_cnn": Cells(first=13.15, stride=27.31),
    "small_cnn": Cells(first=3.5, stride=8),
    "strided_cnn": Cells(first=15, stride=16),
}


@pytest.mark.parametrize("name", NAMES)
def test_the_cells_stand_where_the_gradient_says_they_look(name: str) -> None:
    model = model_of(name)
    cells = cells_of(model)

    # of the innermost cell, whose field of view the border cuts least
    middle = round((SIZE / 2 - cells.first) / cells.stride)
    rows, columns = _centre_of_view(backbone(model), middle, SIZE)

    expected = cells.first + middle * cells.stride
    assert rows == pytest.approx(expected, abs=cells.stride / 10)
    assert columns == pytest.approx(expected, abs=cells.stride / 10)
    assert cells.first == pytest.approx(EXPECTED[name].first, abs=0.01)
    assert cells.stride == pytest.approx(EXPECTED[name].stride, abs=0.01)


@pytest.mark.parametrize("size", [96, 224])
@pytest.mark.parametrize("name", ["efficientnet_lite0", "strided_cnn"])
def test_the_places_do_not_depend_on_the_size_of_the_input(name: str, size: int) -> None:
    assert cells_of(build(name, size=size, classes=2, weights=None)) == EXPECTED[name]


@pytest.mark.parametrize("size", [128, 160, 224])
def test_weights_that_made_up_for_lopsided_padding_look_evenly(size: int) -> None:
    model = build("efficientnet_lite0", size=size, classes=2, weights="imagenet")
    assert cells_of(model) == stretched(size // 32, size)


@pytest.mark.parametrize("picture", [0, 1])
def test_what_changes_in_a_picture_is_warm_where_it_changed(picture: int) -> None:
    size, places = 256, (104, 112, 120, 128, 136, 144, 152)
    model = build("efficientnet_lite0", size=size, classes=2, weights="imagenet")
    natural = cv2.resize(load_sample_images().images[picture], (size, size))
    pictures = np.stack([natural] * (1 + len(places))).astype(np.float32)
    for one, place in zip(pictures[1:], places, strict=True):
        one[place - 16 : place + 16, place - 16 : place + 16] = 235
    features = np.asarray(backbone(model)(pictures))
    changed = np.abs(features[1:] - features[0]).sum(axis=-1)
    cells = cells_of(model)
    where = cells.first + cells.stride * np.arange(changed.shape[1])

    rows = [float((one.sum(axis=1) * where).sum() / one.sum()) for one in changed]

    assert np.mean(rows) == pytest.approx(np.mean(places), abs=6)


LAYERS: dict[str, tuple[list[layers.Layer], Cells]] = {
    "nothing": ([layers.ReLU()], Cells(first=0, stride=1)),
    "a patch": ([layers.Conv2D(3, 4, strides=4)], Cells(first=1.5, stride=4)),
    "pooling": ([layers.MaxPooling2D(2), layers.AveragePooling2D(2)], Cells(first=1.5, stride=4)),
    "padding and cropping": (
        [layers.ZeroPadding2D(((3, 0), (3, 0))), layers.Cropping2D(1)],
        Cells(first=-2, stride=1),
    ),
    "resizing": ([layers.Resizing(64, 64)], Cells(first=-0.25, stride=0.5)),
    "resizing and a patch": (
        [layers.Resizing(16, 16), layers.Conv2D(3, 4, strides=4)],
        Cells(first=3.5, stride=8),
    ),
    "a hole in the window": (
        [layers.Conv2D(3, 3, dilation_rate=2, padding="valid")],
        Cells(first=2, stride=1),
    ),
    "a lopsided same": (
        [layers.Conv2D(3, 3, strides=2, padding="same")],
        Cells(first=1, stride=2),
    ),
}


@pytest.mark.parametrize(("stack", "expected"), LAYERS.values(), ids=LAYERS)
def test_each_layer_moves_the_cells_by_its_window(
    stack: list[layers.Layer], expected: Cells
) -> None:
    image = x = keras.Input((32, 32, 3))
    for layer in stack:
        x = layer(x)

    assert cells_of(keras.Model(image, layers.ReLU(name="features")(x))) == expected


def test_where_branches_meet_a_branch_without_places_says_nothing() -> None:
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 4, strides=4)(image)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Conv2D(4, 1, activation="sigmoid")(gate)
    features = layers.Multiply(name="features")([gate, x])

    assert cells_of(keras.Model(image, features)) == Cells(first=1.5, stride=4)


def test_a_layer_that_is_not_known_is_named() -> None:
    image = keras.Input((32, 32, 3))
    features = layers.ReLU(name="features")(layers.UpSampling2D(name="larger")(image))

    with pytest.raises(BundleError, match="larger"):
        cells_of(keras.Model(image, features))


@pytest.mark.parametrize("name", ["efficientnet_lite0", "small_cnn", "strided_cnn"])
def test_a_bright_lesion_is_warm_where_it_is(name: str) -> None:
    size, places = 256, (104, 112, 120, 128, 136, 144, 152)
    keras.utils.set_random_seed(1)
    model = build(name, size=size, classes=2, weights=None)
    pictures = np.full((1 + len(places), size, size, 3), 20, np.float32)
    for picture, place in zip(pictures[1:], places, strict=True):
        picture[place - 8 : place + 8, place - 8 : place + 8] = 235
    features = np.asarray(backbone(model)(pictures))
    head = [(np.ones((features.shape[-1], 1), np.float32), np.zeros(1, np.float32))]
    cells, apart = cells_of(model), []

    for changed, place in zip(np.abs(features[1:] - features[0]), places, strict=True):
        heat = spread(class_activation(changed, head, 0), cells, size)
        rows, columns = np.nonzero(heat > 0.5)
        apart.append((rows.mean() - place, columns.mean() - place))

    # the cells are coarse and random weights smear, so a single one may miss; all together do not
    assert np.abs(np.mean(apart, axis=0)).max() < 5


def test_every_cell_is_drawn_at_its_place() -> None:
    heat = np.arange(25, dtype=np.float32).reshape(5, 5)

    drawn = spread(heat, Cells(first=3, stride=6), 32)

    assert drawn.shape == (32, 32)
    np.testing.assert_allclose(drawn[3:28:6, 3:28:6], heat, atol=0.05)
    assert drawn[3, 6] == pytest.approx(0.5, abs=0.05)
    assert drawn[31, 31] == 24


def test_cells_that_cover_the_input_evenly_are_a_plain_stretch() -> None:
    drawn = spread(np.array([[0, 1], [0, 1]], np.float32), stretched(2, 8), 8)

    np.testing.assert_allclose(drawn[0], [0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1], atol=0.02)


def _centre_of_view(extract: keras.Model, cell: int, size: int) -> tuple[float, float]:
    """Where the gradient of a cell's features stands, averaged over noise pictures."""
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    images = tf.constant(np.random.default_rng(0).uniform(0, 255, (2, size, size, 3)), tf.float32)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        seen = extract(images)[:, cell, cell]
        score = tf.reduce_sum(seen * tf.random.normal(seen.shape))
    weight = np.square(tape.gradient(score, images).numpy()).sum(axis=(0, 3))
    places = np.arange(size)
    rows = (weight.sum(axis=1) * places).sum() / weight.sum()
    columns = (weight.sum(axis=0) * places).sum() / weight.sum()
    return float(rows), float(columns)
