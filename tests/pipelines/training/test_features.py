"""Features are what the whole model computes, made once and shared."""

import threading
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from pipelines.data.input.shards import Shards
from pipelines.models.head import feature_extractor, head_on_features
from pipelines.models.registry import build
from pipelines.training import features
from pipelines.training.features import feature_stream
from tests.pipelines.training.small_shards import SIZE, small_shards


@pytest.fixture
def shards(tmp_path: Path) -> Shards:
    return small_shards(tmp_path / "shards")


def test_features_and_head_predict_as_the_whole_model(shards: Shards) -> None:
    model = build("efficientnet_lite0", size=SIZE, classes=2, weights="imagenet")
    rows = list(feature_stream(shards, "validation", model).in_order(64))
    pictures = [b.images for b in shards.split("validation").batches(64)]
    images = np.concatenate(pictures).astype(np.float32)
    pooled = np.concatenate([x.numpy() for x, _ in rows])
    assert pooled.std() > 0.01
    assert np.allclose(pooled, feature_extractor(model).predict(images, verbose=0), atol=1e-4)
    logits = head_on_features(model).predict(pooled, verbose=0)
    odds = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.allclose(odds, model.predict(images, verbose=0), atol=1e-5)
    labels = np.concatenate([y.numpy() for _, y in rows])
    assert np.array_equal(labels, shards.split("validation").labels())


def test_features_are_made_once_for_the_same_weights(shards: Shards) -> None:
    one, other = (build("strided_cnn", size=SIZE, classes=2, weights=None) for _ in range(2))
    first = feature_stream(shards, "train", one)
    before = [file.stat().st_mtime_ns for file in first.files]
    assert feature_stream(shards, "train", one) == first
    assert [file.stat().st_mtime_ns for file in first.files] == before
    assert set(feature_stream(shards, "train", other).files).isdisjoint(first.files)


def network(*, stride: int = 2, resized: bool = False) -> keras.Model:
    """Always the same weights; layers without a name, which Keras numbers anew in each build."""
    keras.utils.set_random_seed(1)
    image = x = keras.Input((SIZE, SIZE, 3), name="image")
    if resized:
        x = layers.Resizing(32, 32)(x)
    x = layers.BatchNormalization()(layers.Conv2D(4, 3, strides=stride)(x))
    x = layers.GlobalAveragePooling2D()(layers.ReLU(name="features")(x))
    return keras.Model(image, layers.Dense(2, name="logits")(x), name="small")


def test_the_same_network_built_anew_shares_its_features(shards: Shards) -> None:
    one, other = network(), network()

    assert one.layers[1].name != other.layers[1].name
    assert feature_stream(shards, "test", one) == feature_stream(shards, "test", other)


def test_the_same_weights_in_another_graph_make_features_of_their_own(shards: Shards) -> None:
    as_it_is, resized, unstrided = (
        feature_stream(shards, "test", model)
        for model in (network(), network(resized=True), network(stride=1))
    )

    assert as_it_is.shape == resized.shape == unstrided.shape
    assert len({as_it_is.files, resized.files, unstrided.files}) == 3


def test_a_killed_extraction_goes_on_with_the_next_shard(
    shards: Shards, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build("strided_cnn", size=SIZE, classes=2, weights=None)
    monkeypatch.setattr(features, "BATCH", 4)
    whole = feature_stream(shards, "train", model)
    kept, cut = whole.files
    content, before = cut.read_bytes(), kept.stat().st_mtime_ns
    cut.with_name(f".{cut.name}").write_bytes(content[:50])
    cut.unlink()
    feature_stream(shards, "train", model)
    assert cut.read_bytes() == content
    assert kept.stat().st_mtime_ns == before


def test_candidates_side_by_side_make_features_one_after_the_other(shards: Shards) -> None:
    model = build("strided_cnn", size=SIZE, classes=2, weights=None)
    made: list[object] = []
    folder = feature_stream(shards, "validation", model).files[0].parent
    waiting = threading.Thread(
        target=lambda: made.append(feature_stream(shards, "train", model)), daemon=True
    )
    with features._only_one(folder):
        waiting.start()
        waiting.join(0.5)
        assert not list(folder.glob("train-*"))
    waiting.join(60)
    assert len(made) == 1
