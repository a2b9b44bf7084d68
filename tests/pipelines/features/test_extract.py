import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.data.input.cache import fetch
from pipelines.errors import NotFound, SpecError
from pipelines.features import extract, small, texture
from pipelines.features.code import Kind
from pipelines.features.network import Backbone
from pipelines.features.worker import Describe, grey
from pipelines.models.head import feature_extractor
from pipelines.models.registry import build
from pipelines.outputs import SPLITS, Prepared
from pipelines.spec import DatasetSpec
from pipelines.stage import Context
from tests.pipelines.data.small_collection import small_spec
from tests.pipelines.tracked import prepare_small

SIZE = 64
"""Of smaller pictures, the deep features are all zero."""

pytestmark = pytest.mark.usefixtures("spark")


@pytest.fixture
def spec() -> DatasetSpec:
    return small_spec(image={"size": SIZE})


@pytest.fixture
def prepared(context: Context, spec: DatasetSpec) -> Prepared:
    return prepare_small(context, spec)


def pictures(context: Context, prepared: Prepared) -> dict[str, tuple[str, int, NDArray[np.uint8]]]:
    """source_path → split, label, pixels."""
    data = fetch(context, prepared)
    return {
        path: (split, int(label), image)
        for split in SPLITS
        for batch in data.split(split).batches(8)
        for image, label, path in zip(batch.images, batch.labels, batch.paths, strict=True)
    }


def test_each_image_has_its_numbers_once(
    context: Context, spec: DatasetSpec, prepared: Prepared
) -> None:
    described: dict[Kind, Describe] = {
        "texture": texture.describe,
        "pixels": small.describe,
    }
    for kind, one in described.items():
        features = extract.run(spec, context, prepared, kind=kind)
        found = extract.read(context, features)
        expected = pictures(context, prepared)
        assert found.images["source_path"].tolist() == sorted(expected)
        rows = found.images[["source_path", "split", "label"]].itertuples(index=False)
        for values, (path, split, label) in zip(found.values, rows, strict=True):
            assert (split, label) == expected[path][:2]
            np.testing.assert_allclose(values, one(grey(expected[path][2])), rtol=1e-6)
        assert features.images == len(expected)
        assert found.of("test").values.shape[0] == prepared.rows["test"]


def test_deep_features_are_those_of_the_keras_backbone(
    context: Context, spec: DatasetSpec, prepared: Prepared
) -> None:
    found = extract.read(context, extract.run(spec, context, prepared, kind="deep"))
    expected = pictures(context, prepared)
    images = np.stack([expected[path][2] for path in found.images["source_path"]])
    model = build("efficientnet_lite0", size=SIZE, classes=2, weights="imagenet")
    pooled = feature_extractor(model).predict(images.astype(np.float32), verbose=0)
    assert pooled.std(axis=0).max() > 0.1
    np.testing.assert_allclose(found.values, pooled, atol=1e-4)


def test_what_stands_is_not_made_again(
    context: Context, spec: DatasetSpec, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = extract.run(spec, context, prepared, kind="texture")
    monkeypatch.setattr(extract, "_write", None)
    assert extract.run(spec, context, prepared, kind="texture") == first


def test_a_model_that_is_not_in_the_zoo_leaves_nothing_behind(
    context: Context, spec: DatasetSpec, prepared: Prepared
) -> None:
    with pytest.raises(SpecError, match="no model 'resnet9000'"):
        extract.run(spec, context, prepared, kind="deep", backbone=Backbone("resnet9000"))
    assert context.store.names(f"{spec.name}/features") == []


def test_a_training_set_that_is_gone_is_missed_before_spark_starts(
    context: Context, spec: DatasetSpec, prepared: Prepared
) -> None:
    gone = prepared.model_copy(update={"path": "small/training_sets/gone"})
    with pytest.raises(NotFound, match="gone"):
        extract.run(spec, context, gone, kind="texture")
