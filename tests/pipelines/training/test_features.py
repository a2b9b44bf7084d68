"""Features are what the whole model computes, made once and shared."""

import threading
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from pipelines.alone import alone
from pipelines.data.input.training_set import TrainingSet
from pipelines.models.head import feature_extractor, head_on_features
from pipelines.models.registry import build
from pipelines.training import features
from pipelines.training.features import feature_stream
from tests.pipelines.local_sets import Drawn, write_set
from tests.pipelines.training.small_sets import SIZE, small_set


@pytest.fixture
def data(tmp_path: Path) -> TrainingSet:
    return small_set(tmp_path / "cache")


def test_features_and_head_predict_as_the_whole_model(data: TrainingSet) -> None:
    model = build("efficientnet_lite0", size=SIZE, classes=2, weights="imagenet")
    rows = list(feature_stream(data, "validation", model).in_order(64))
    pictures = [b.images for b in data.split("validation").batches(64)]
    images = np.concatenate(pictures).astype(np.float32)
    pooled = np.concatenate([x.numpy() for x, _ in rows])
    assert pooled.std() > 0.01
    assert np.allclose(pooled, feature_extractor(model).predict(images, verbose=0), atol=1e-4)
    logits = head_on_features(model).predict(pooled, verbose=0)
    odds = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.allclose(odds, model.predict(images, verbose=0), atol=1e-5)
    labels = np.concatenate([y.numpy() for _, y in rows])
    assert np.array_equal(labels, data.split("validation").labels())


def test_features_are_made_once_for_the_same_weights(data: TrainingSet) -> None:
    one, other = (build("strided_cnn", size=SIZE, classes=2, weights=None) for _ in range(2))
    first = feature_stream(data, "train", one)
    before = [file.stat().st_mtime_ns for file in first.arrays.files]
    feature_stream(data, "train", one)
    assert [file.stat().st_mtime_ns for file in first.arrays.files] == before
    assert set(feature_stream(data, "train", other).arrays.files).isdisjoint(first.arrays.files)


def network(*, stride: int = 2, resized: bool = False) -> keras.Model:
    """Always the same weights; layers without a name, which Keras numbers anew in each build."""
    keras.utils.set_random_seed(1)
    image = x = keras.Input((SIZE, SIZE, 3), name="image")
    if resized:
        x = layers.Resizing(32, 32)(x)
    x = layers.BatchNormalization()(layers.Conv2D(4, 3, strides=stride)(x))
    x = layers.GlobalAveragePooling2D()(layers.ReLU(name="features")(x))
    return keras.Model(image, layers.Dense(2, name="logits")(x), name="small")


def test_the_same_network_built_anew_shares_its_features(data: TrainingSet) -> None:
    one, other = network(), network()

    assert one.layers[1].name != other.layers[1].name
    one_s, other_s = (feature_stream(data, "test", model) for model in (one, other))
    assert one_s.arrays.files == other_s.arrays.files


def test_the_same_weights_in_another_graph_make_features_of_their_own(data: TrainingSet) -> None:
    as_it_is, resized, unstrided = (
        feature_stream(data, "test", model)
        for model in (network(), network(resized=True), network(stride=1))
    )

    assert as_it_is.arrays.shape == resized.arrays.shape == unstrided.arrays.shape
    assert len({stream.arrays.folder for stream in (as_it_is, resized, unstrided)}) == 3


def test_a_killed_extraction_goes_on_with_the_next_part(
    data: TrainingSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build("strided_cnn", size=SIZE, classes=2, weights=None)
    monkeypatch.setattr(features, "BATCH", 4)
    whole = feature_stream(data, "train", model)
    kept, cut = whole.arrays.files
    content, before = cut.read_bytes(), kept.stat().st_mtime_ns
    cut.with_name(f".{cut.name}").write_bytes(content[:50])
    cut.unlink()
    feature_stream(data, "train", model)
    assert cut.read_bytes() == content
    assert kept.stat().st_mtime_ns == before


def test_candidates_side_by_side_make_features_one_after_the_other(data: TrainingSet) -> None:
    model = build("strided_cnn", size=SIZE, classes=2, weights=None)
    made: list[object] = []
    folder = data.folder / "features" / f"{model.name}-{features._identity(model)}"
    waiting = threading.Thread(
        target=lambda: made.append(feature_stream(data, "train", model)), daemon=True
    )
    with alone(folder):
        waiting.start()
        waiting.join(0.5)
        assert not list(folder.iterdir())
    waiting.join(60)
    assert len(made) == 1


def test_features_do_not_depend_on_how_images_arrived(tmp_path: Path) -> None:
    """To the last bit: the same images in other parts, in another order."""
    model = build("strided_cnn", size=SIZE, classes=2, weights=None)
    drawn = np.random.default_rng(3).integers(0, 256, (80, SIZE, SIZE, 3)).astype(np.uint8)
    found = []
    for name, order in (("one", np.arange(80)), ("other", np.arange(80)[::-1])):
        images = [Drawn("train", drawn[n], 0, str(n)) for n in order]
        images = images if name == "one" else images[:75]
        stream = feature_stream(write_set(tmp_path / name, images, ("a",)), "train", model)
        found.append(stream.arrays.take(range(len(images)))[:: 1 if name == "one" else -1])
    assert np.array_equal(found[0][5:], found[1])
