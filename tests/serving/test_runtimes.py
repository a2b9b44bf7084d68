"""Both runtimes say the same, and so do both ways to explain."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest

from pipelines.errors import BundleError
from pipelines.evaluation.gradcam_autodiff import class_activation_by_gradients
from pipelines.imaging import fit
from pipelines.release.predictor import Predictor, open_predictor
from pipelines.release.runtime import RuntimeName
from tests.pipelines.release.models import CLASSES, picture, tiny_bundle, tiny_model
from tests.serving.bundles import png


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a tiny Keras model."""
    return tiny_bundle(tmp_path_factory.mktemp("keras") / "tiny", tiny_model())


def _open(folder: Path, runtime: RuntimeName, cache: Path) -> Predictor:
    return open_predictor(folder, runtime, cache=cache, threads=1)


def test_openvino_and_tensorflow_agree(folder: Path, cache: Path) -> None:
    fast, slow = _open(folder, "openvino", cache), _open(folder, "tensorflow", cache)
    for seed in range(5):
        ours, theirs = fast.read(picture(seed)), slow.read(picture(seed))
        assert ours.probabilities == pytest.approx(theirs.probabilities, abs=1e-5)
        assert ours.features == pytest.approx(theirs.features, abs=1e-4)
        assert fast.activation(ours, 1) == pytest.approx(slow.activation(theirs, 1), abs=1e-4)


def test_the_explanation_is_what_automatic_differentiation_gives(folder: Path, cache: Path) -> None:
    predictor = _open(folder, "openvino", cache)
    model = keras.saving.load_model(folder / "model.keras", compile=False)
    for seed in range(3):
        reading = predictor.read(picture(seed))
        seen = fit(reading.picture, predictor.bundle.manifest.image).astype(np.float32)
        for target in range(len(CLASSES)):
            expected = class_activation_by_gradients(model, seen, target)
            assert predictor.activation(reading, target) == pytest.approx(expected, abs=1e-4)


def test_a_head_of_another_form_is_explained_too(tmp_path: Path, cache: Path) -> None:
    plain = tiny_model()
    peaks = keras.layers.GlobalMaxPooling2D(name="pooling")(plain.get_layer("features").output)
    logits = keras.layers.Dense(len(CLASSES), name="logits")(peaks)
    answer = keras.layers.Activation("softmax", name="probabilities")(logits)
    folder = tiny_bundle(tmp_path / "other", keras.Model(plain.input, answer))
    predictor = _open(folder, "openvino", cache)
    assert not predictor.bundle.head
    reading = predictor.read(picture(1))
    heats = [predictor.heat(reading, target) for target in range(len(CLASSES))]
    assert max(heat.max() for heat in heats) == pytest.approx(1)
    assert predictor.overlay(reading, 0, opacity=0.5).startswith(b"\x89PNG")


def test_many_threads_get_the_answers_one_gets(predictor: Predictor) -> None:
    images = [png(seed) for seed in range(40)]
    alone = [predictor.read(image).probabilities for image in images]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda image: predictor.read(image).probabilities, images))
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("runtime", ["openvino", "tensorflow"])
def test_the_tuning_changes_no_answer(folder: Path, cache: Path, runtime: RuntimeName) -> None:
    soonest = open_predictor(folder, runtime, cache=cache, threads=2, goal="latency")
    most = open_predictor(folder, runtime, cache=cache, threads=2, goal="throughput")
    for seed in range(3):
        ours, theirs = soonest.read(picture(seed)), most.read(picture(seed))
        assert ours.probabilities == pytest.approx(theirs.probabilities, abs=1e-5)


def test_a_keras_file_that_is_none_is_refused(bundle: Path, cache: Path) -> None:
    with pytest.raises(BundleError, match="tensorflow cannot load it"):
        _open(bundle, "tensorflow", cache)
