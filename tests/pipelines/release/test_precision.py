"""A bundle of less precision says what it costs, and is refused where that is too much."""

from pathlib import Path

import keras
import numpy as np
import openvino
import pytest

from pipelines.data.input.training_set import Batch
from pipelines.errors import BundleError
from pipelines.outputs import SplitName
from pipelines.release.build import build_bundle
from pipelines.release.bundle import Agreement, Bundle, load_bundle
from pipelines.release.precision import quantise, require_agreement
from pipelines.release.predictor import open_predictor
from pipelines.release.runtime import OpenVinoRuntime, Tuning, open_runtime
from pipelines.spec import Precision
from tests.pipelines.release.models import (
    ORIGIN,
    canary,
    picture,
    pictures,
    tiny_bundle,
    tiny_model,
    tiny_spec,
)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[Precision, Bundle]:
    """The same model in every precision."""
    folder, model = tmp_path_factory.mktemp("precision"), tiny_model()
    gate = {"max_bundle_loss": 0.2}
    names: tuple[Precision, ...] = ("f32", "bf16", "int8")
    return {
        name: load_bundle(tiny_bundle(folder / name, model, bundle={"precision": name}, gate=gate))
        for name in names
    }


@pytest.mark.parametrize("precision", ["f32", "bf16", "int8"])
def test_a_bundle_says_how_it_answers_beside_the_keras_model(
    bundles: dict[Precision, Bundle], precision: Precision
) -> None:
    manifest = bundles[precision].manifest
    model = keras.saving.load_model(bundles[precision].keras)
    runtime = open_runtime(bundles[precision], "openvino", Tuning(threads=1))
    batches = pictures("validation")
    seen = np.concatenate([batch.images for batch in batches]).astype(np.float32)
    labels = np.concatenate([batch.labels for batch in batches])

    assert manifest.precision == precision
    assert manifest.agreement is not None
    assert manifest.agreement.images == len(labels) == 30
    right = runtime.run(seen)["logits"].argmax(axis=1) == labels
    assert manifest.agreement.accuracy == pytest.approx(right.mean())
    keras_right = np.asarray(model(seen)).argmax(axis=1) == labels
    assert manifest.agreement.keras_accuracy == pytest.approx(keras_right.mean())


@pytest.mark.parametrize("precision", ["f32", "bf16", "int8"])
def test_one_image_is_answered_to_the_bit_as_by_the_model_for_batches(
    bundles: dict[Precision, Bundle], precision: Precision
) -> None:
    runtime = open_runtime(bundles[precision], "openvino", Tuning(threads=1))
    assert isinstance(runtime, OpenVinoRuntime)
    batch = runtime._model(is_single=False).create_infer_request()
    for image in pictures("validation")[0].images[:, None].astype(np.float32):
        batch.infer({"image": image})
        single = runtime.run(image)
        for name, values in single.items():
            np.testing.assert_array_equal(values, batch.get_tensor(name).data)


def test_less_precision_differs_more_and_more_is_taken(bundles: dict[Precision, Bundle]) -> None:
    apart = {name: _agreement(bundle).largest_difference for name, bundle in bundles.items()}

    assert apart["f32"] < 1e-5
    assert apart["int8"] > 1e-4
    assert apart["int8"] < 0.2
    assert bundles["f32"].manifest.tolerance == 1e-3
    assert bundles["int8"].manifest.tolerance == max(1e-3, 2 * apart["int8"])


def test_int8_stores_bytes_and_the_others_floats(bundles: dict[Precision, Bundle]) -> None:
    core = openvino.Core()
    kinds = {
        name: {str(op.get_element_type()) for op in core.read_model(bundle.ir).get_ops()}
        for name, bundle in bundles.items()
    }

    assert "<Type: 'int8_t'>" in kinds["int8"]
    assert "<Type: 'int8_t'>" not in kinds["f32"] | kinds["bf16"]


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_the_service_takes_it_and_explains_with_it(
    bundles: dict[Precision, Bundle], precision: Precision, tmp_path: Path
) -> None:
    folder = bundles[precision].folder
    predictor = open_predictor(folder, "openvino", cache=tmp_path, threads=1)

    reading = predictor.read(picture(7))

    assert reading.probabilities.sum() == pytest.approx(1, abs=1e-3)
    assert predictor.overlay(reading, 0, opacity=0.5).startswith(b"\x89PNG")


def test_a_bundle_that_lost_too_much_is_not_built(tmp_path: Path) -> None:
    model = tiny_model()
    file = tmp_path / "model.keras"
    model.save(file)

    with pytest.raises(BundleError, match=r"'int8' costs .* points of accuracy on 600 validation"):
        build_bundle(
            tmp_path / "bundle",
            spec=tiny_spec(bundle={"precision": "int8"}, gate={"max_bundle_loss": 0}),
            model_file=file,
            origin=ORIGIN,
            data=lambda split: _as_keras_says(model, split),
            canary=canary(),
        )

    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]


def test_half_a_point_is_taken_and_more_is_not(bundles: dict[Precision, Bundle]) -> None:
    require_agreement(_with_loss(bundles["int8"], 0.005), max_loss=0.005)

    with pytest.raises(BundleError, match=r"0\.60 points .* Set bundle\.precision to f32"):
        require_agreement(_with_loss(bundles["int8"], 0.006), max_loss=0.005)


def test_without_training_images_there_is_nothing_to_find_ranges_on(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="needs training images"):
        quantise(tmp_path, [])


def _agreement(bundle: Bundle) -> Agreement:
    assert bundle.manifest.agreement is not None
    return bundle.manifest.agreement


def _with_loss(bundle: Bundle, loss: float) -> Bundle:
    update = {"accuracy": 0.9 - loss, "keras_accuracy": 0.9}
    agreement = _agreement(bundle).model_copy(update=update)
    manifest = bundle.manifest.model_copy(update={"agreement": agreement})
    return Bundle(bundle.folder, manifest)


def _as_keras_says(model: keras.Model, split: SplitName) -> list[Batch]:
    """Noise, labelled as the Keras model answers: every other answer is a loss."""
    if split != "validation":
        return pictures(split)
    rng = np.random.default_rng(5)
    seen = rng.integers(0, 256, (600, 32, 32, 3), np.uint8)
    labels = np.asarray(model(seen.astype(np.float32))).argmax(axis=1).astype(np.int32)
    names = [str(number) for number in range(len(seen))]
    return [Batch(seen, labels, ids=names, paths=names)]
