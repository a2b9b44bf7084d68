"""Features are what the whole model computes, made once for each part, and shared."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.data.input.arrays import Arrays
from pipelines.data.input.cache import fetch
from pipelines.data.input.training_set import Part, TrainingSet
from pipelines.data.prepare.keys import placed
from pipelines.errors import NotFound, SpecError
from pipelines.features import extract, network, small, texture
from pipelines.features.code import Kind
from pipelines.features.network import Backbone
from pipelines.models.head import feature_extractor, head_on_features
from pipelines.models.registry import build
from pipelines.outputs import SPLITS, Features, Prepared
from pipelines.settings import Settings
from pipelines.spec import DatasetSpec
from pipelines.stage import Context
from pipelines.storage import open_store
from tests.pipelines.data.small_collection import images, small_spec
from tests.pipelines.tracked import prepare_small

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SIZE = 64
"""Of smaller pictures, the deep features are all zero."""

Pictures = dict[str, tuple[str, int, NDArray[np.uint8]]]

pytestmark = pytest.mark.usefixtures("spark")


@pytest.fixture
def spec() -> DatasetSpec:
    return small_spec(image={"size": SIZE})


@pytest.fixture
def prepared(context: Context, spec: DatasetSpec) -> Prepared:
    return prepare_small(context, spec)


def described(
    context: Context, prepared: Prepared, kind: Kind = "texture", backbone: Backbone | None = None
) -> Features:
    rows = placed(context.store, prepared)
    return extract.run(context, prepared, rows, kind=kind, backbone=backbone)


def pictures(context: Context, prepared: Prepared) -> Pictures:
    """source_path → split, label, pixels."""
    data = fetch(context, prepared)
    return {
        path: (split, int(label), image)
        for split in SPLITS
        for batch in data.split(split).batches(8)
        for image, label, path in zip(batch.images, batch.labels, batch.paths, strict=True)
    }


def test_each_image_has_its_numbers_once(
    context: Context, prepared: Prepared, spark: "SparkSession"
) -> None:
    kinds: dict[Kind, Callable[[NDArray[np.uint8]], NDArray[np.float32]]] = {
        "texture": texture.describe,
        "pixels": small.describe,
    }
    rows, expected = placed(context.store, prepared), pictures(context, prepared)
    for kind, one in kinds.items():
        features = described(context, prepared, kind)
        found = extract.read(context, features, rows)
        assert found.images["source_path"].tolist() == sorted(expected)
        known = found.images[["source_path", "split", "label"]].itertuples(index=False)
        for values, (path, split, label) in zip(found.values, known, strict=True):
            assert (split, label) == expected[path][:2]
            np.testing.assert_allclose(values, one(small.grey(expected[path][2])), rtol=1e-6)
        assert found.of("test").values.shape[0] == prepared.rows["test"]
        frame = extract.frame(spark, context, features, rows).toPandas()
        np.testing.assert_array_equal(np.stack(frame["values"]), found.values)
        assert frame[extract.KNOWN].equals(found.images)


def test_a_delivery_describes_its_own_images_and_gets_the_numbers_of_all_at_once(
    context: Context, spec: DatasetSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the last bit, and whatever else is in the batch."""
    rows = images(per_class=20)
    kinds: list[Kind] = ["texture", "deep"]
    build("strided_cnn", size=SIZE, classes=2, weights=None).save(tmp_path / "small.keras")
    network = Backbone("strided_cnn", str(tmp_path / "small.keras"))
    first = prepare_small(context, spec, rows=rows[:27], identity="first")
    there = [described(context, first, kind, network) for kind in kinds]
    times = [modified(context, features) for features in there]
    both = prepare_small(context, spec, rows=rows, identity="both", written=rows[27:])
    assert [described(context, both, kind, network) for kind in kinds] == there
    for before, features in zip(times, there, strict=True):
        after = modified(context, features)
        assert len(after) == 2
        assert {name: after[name] for name in before} == before

    settings = Settings(home=tmp_path / "other", store=(tmp_path / "whole").as_uri())
    at_once = Context(settings=settings, store=open_store(settings))
    whole = prepare_small(at_once, spec, rows=rows)
    for kind in kinds:
        found, expected = (
            extract.read(place, described(place, one, kind, network), placed(place.store, one))
            for place, one in ((context, both), (at_once, whole))
        )
        assert found.images.equals(expected.images)
        assert np.array_equal(found.values, expected.values)
    require_what_the_head_reads(found, pictures(at_once, whole), network)
    require_a_training_set_reads_them(context, both, network, monkeypatch)


def require_a_training_set_reads_them(
    context: Context, prepared: Prepared, wanted: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once they are computed, nothing is; if parts were merged and are gone, this machine's own
    pixels are described."""
    here: list[tuple[str, Backbone]] = []

    def describe_here(data: TrainingSet, backbone: Backbone) -> Path:
        here.append((data.id, backbone))
        return Path("here")

    monkeypatch.setattr(network, "describe_here", describe_here)
    monkeypatch.setattr(extract, "_describe", None)
    data = extract.training_set(context, prepared)
    assert data.describe is not None
    found = Arrays.of(data.describe(data.table, wanted), data.table)
    features = described(context, prepared, "deep", wanted)
    expected = extract.read(context, features, data.table)
    assert np.array_equal(found.take(range(len(found))), in_order(expected, data))
    assert here == []

    def gone(*_: object) -> None:
        raise NotFound("a part")

    monkeypatch.setattr(extract, "_describe", gone)
    context.store.delete(features.path)
    every = Part("train", np.ones(data.split("train").rows, np.bool_), "train")
    assert data.subset([every]).describe == data.describe
    assert data.describe(data.table, wanted) == Path("here")
    assert here == [(data.id, wanted)]


def in_order(described: extract.Described, data: TrainingSet) -> NDArray[np.float32]:
    """The numbers in the order of a training set."""
    of = dict(zip(described.images["sha256"], described.values, strict=True))
    return np.stack([of[sha256] for sha256 in data.table["sha256"].to_pylist()])


def require_what_the_head_reads(
    found: extract.Described, expected: Pictures, network: Backbone
) -> None:
    """Deep features are those of the Keras model: with its head they give its answers."""
    shown = np.stack([expected[path][2] for path in found.images["source_path"]])
    model, shown = network.build(size=SIZE), shown.astype(np.float32)
    pooled = feature_extractor(model).predict(shown, verbose=0)
    assert pooled.std(axis=0).max() > 0.001
    np.testing.assert_allclose(found.values, pooled, atol=1e-6)
    logits = head_on_features(model).predict(found.values, verbose=0)
    odds = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(odds, model.predict(shown, verbose=0), atol=1e-4)


def modified(context: Context, features: Features) -> dict[str, float]:
    """File → when it was written, of the features of parts."""
    names = [name for name in context.store.names(features.path) if name.endswith(".parquet")]
    return {name: context.store.modified(f"{features.path}/{name}") for name in names}


def test_each_network_and_runtime_has_features_of_its_own(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "w.keras"
    weights.write_bytes(b"some weights")
    copied = tmp_path / "copy.keras"
    os.link(weights, copied)
    one = Backbone("strided_cnn", str(weights))
    others = [
        Backbone("strided_cnn", "imagenet"),
        one._replace(input_size=32),
        one._replace(options=(("blocks", 2),)),
        one._replace(model="small_cnn"),
    ]
    names = {extract.name_of(prepared, "deep", backbone) for backbone in (one, *others)}
    assert len(names) == 1 + len(others)
    assert extract.name_of(prepared, "deep", one._replace(weights=str(copied))) in names
    monkeypatch.setattr(extract, "version", lambda _: "9999.1")
    assert extract.name_of(prepared, "deep", one) not in names


def test_a_model_that_is_not_in_the_zoo_leaves_nothing_behind(
    context: Context, spec: DatasetSpec, prepared: Prepared
) -> None:
    with pytest.raises(SpecError, match="no model 'resnet9000'"):
        described(context, prepared, "deep", Backbone("resnet9000"))
    assert context.store.names(f"{spec.name}/features") == []
