"""What is bundled answers as the Keras model does."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from pipelines.errors import BadImage
from pipelines.evaluation.calibration import softmax
from pipelines.imaging import decode, fit
from pipelines.release.build import Original, build_bundle
from pipelines.release.bundle import load_bundle
from pipelines.release.export import export_head
from pipelines.release.predictor import Predictor
from pipelines.release.runtime import Tuning, agreement, difference, open_runtime
from tests.pipelines.imaging.test_dicom_frames import frames
from tests.pipelines.release.models import (
    CLASSES,
    ORIGIN,
    canary,
    pictures,
    tiny_bundle,
    tiny_model,
    tiny_spec,
)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """A batch whose size was not known when the bundle was built."""
    return np.random.default_rng(0).uniform(0, 255, (7, 32, 32, 3)).astype(np.float32)


def test_openvino_agrees_with_keras(
    bundle_folder: Path, model: keras.Model, images: np.ndarray
) -> None:
    assert agreement(load_bundle(bundle_folder), model, images) < 1e-5


def test_another_model_does_not_agree(bundle_folder: Path, images: np.ndarray) -> None:
    assert agreement(load_bundle(bundle_folder), tiny_model(seed=5), images) > 1e-2


def test_no_number_is_the_largest_difference() -> None:
    assert difference(np.array([[np.nan, 0.5]]), np.array([[0.5, 0.5]])) == 1


def test_head_and_features_give_the_logits(bundle_folder: Path, images: np.ndarray) -> None:
    bundle = load_bundle(bundle_folder)
    outputs = open_runtime(bundle, "openvino", Tuning()).run(images)
    (k0, b0), (k1, b1) = bundle.head

    hidden = np.maximum(outputs["features"].mean(axis=(1, 2)) @ k0 + b0, 0)

    np.testing.assert_allclose(hidden @ k1 + b1, outputs["logits"], atol=1e-4)


def test_a_head_of_another_form_is_left_out(tmp_path: Path) -> None:
    image = keras.Input((32, 32, 3), name="image")
    x = keras.layers.Conv2D(4, 3, name="features")(image)
    x = keras.layers.GlobalMaxPooling2D()(x)
    x = keras.layers.Dense(3, name="logits")(x)
    other = keras.Model(image, keras.layers.Softmax(name="probabilities")(x))

    export_head(other, tmp_path)

    with np.load(tmp_path / "head.npz") as arrays:
        assert arrays.files == []


def test_canary_images_are_the_originals_with_what_keras_says(
    bundle_folder: Path, model: keras.Model
) -> None:
    bundle = load_bundle(bundle_folder)

    assert [image.label for image in bundle.canary] == ["clear", "spot", "haze"]
    for image, original in zip(bundle.canary, canary(), strict=True):
        content = (bundle.folder / image.file).read_bytes()
        assert content == original.content
        pixels = fit(decode(content), bundle.manifest.image)[None].astype(np.float32)
        logits = keras.Model(model.input, model.get_layer("logits").output)(pixels)
        answer = softmax(np.asarray(logits), ORIGIN.temperature)[0]
        assert list(image.probabilities.values()) == pytest.approx(answer.tolist(), abs=1e-6)
        assert image.predicted == bundle.manifest.class_names[int(answer.argmax())]


def test_what_the_canary_expects_is_decided_by_the_bundles_thresholds(
    tmp_path: Path, model: keras.Model
) -> None:
    always = {"clear": 0.999, "spot": 1e-6, "haze": 0.999}
    file = tmp_path / "model.keras"
    model.save(file)

    folder = build_bundle(
        tmp_path / "bundle",
        spec=tiny_spec(),
        model_file=file,
        origin=replace(ORIGIN, thresholds=always),
        data=pictures,
        canary=canary(),
    )

    bundle = load_bundle(folder)
    assert bundle.manifest.thresholds == always
    assert {image.predicted for image in bundle.canary} == {"spot"}
    assert Predictor(bundle, open_runtime(bundle, "openvino", Tuning()), "openvino").read(
        canary()[0].content
    ).best == CLASSES.index("spot")


def test_a_canary_file_of_several_frames_is_seen_by_the_data_sets_rule(
    tmp_path: Path, model: keras.Model
) -> None:
    folder = tiny_bundle(
        tmp_path / "bundle",
        model,
        limits={"frames": "middle"},
        originals=[Original("scan.dcm", label="spot", content=frames(3, "native"))],
    )

    bundle = load_bundle(folder)
    (image,) = bundle.canary
    predictor = Predictor(bundle, open_runtime(bundle, "openvino", Tuning()), "openvino")
    reading = predictor.read((folder / image.file).read_bytes())
    np.testing.assert_allclose(reading.shares, list(image.probabilities.values()), atol=1e-4)


def test_nothing_half_built_is_left_behind(tmp_path: Path, model: keras.Model) -> None:
    file = tmp_path / "model.keras"
    model.save(file)

    with pytest.raises(BadImage):
        build_bundle(
            tmp_path / "bundle",
            spec=tiny_spec(),
            model_file=file,
            origin=ORIGIN,
            data=pictures,
            canary=[Original("broken.png", label="spot", content=b"no picture")],
        )

    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]
