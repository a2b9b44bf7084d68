"""Every model of the zoo trains, is served as it answers, and is explained as it was trained."""

from pathlib import Path

import keras
import numpy as np
import openvino
import pytest
from numpy.typing import NDArray

from pipelines.evaluation.gradcam import class_activation
from pipelines.evaluation.gradcam_autodiff import class_activation_by_gradients
from pipelines.evaluation.head import dense_head
from pipelines.imaging import fit
from pipelines.models.registry import build
from pipelines.release.bundle import TOLERANCE
from pipelines.release.export import export_model
from pipelines.release.predictor import open_predictor
from pipelines.training.objective import compile_for
from tests.pipelines.models.zoo import NAMES, model_of
from tests.pipelines.models.zoo import pictures as noise
from tests.pipelines.release.models import CLASSES, SIZE, picture, pictures, tiny_bundle
from tests.pipelines.training.small_sets import candidate

F32 = {"INFERENCE_PRECISION_HINT": "f32"}
"""As the service asks; left to itself, OpenVINO takes bf16 where the processor has it."""
LARGE = ("densenet121", "inception_v3", "resnet50")
SMALL = [name for name in NAMES if name not in LARGE]


def _learn_from(model: keras.Model, images: NDArray[np.float32], classes: int) -> None:
    """One step; it must be one."""
    first = next(layer for layer in model.layers if layer.trainable_weights)
    ends = [first, model.get_layer("logits" if classes > 2 else "hidden")]
    before = [layer.get_weights()[0] for layer in ends]
    logits = keras.Model(model.input, model.get_layer("logits").output)
    compile_for(logits, candidate(), learning_rate=1e-3)
    logits.run_eagerly = True
    loss = logits.train_on_batch(images, np.eye(classes)[np.arange(len(images)) % classes])
    assert np.isfinite(loss[0])
    for layer, old in zip(ends, before, strict=True):
        assert (layer.get_weights()[0] != old).any()


@pytest.mark.parametrize("name", SMALL)
def test_its_bundle_answers_and_explains_as_it_does(name: str, tmp_path: Path) -> None:
    keras.utils.set_random_seed(2)
    model = build(name, size=SIZE, input_size=64, classes=len(CLASSES), weights=None)
    _learn_from(model, next(iter(pictures("train"))).images[:6].astype(np.float32), len(CLASSES))

    folder = tiny_bundle(tmp_path / "b", model)
    served = open_predictor(folder, "openvino", cache=tmp_path, threads=1)

    agreement = served.bundle.manifest.agreement
    assert agreement is not None
    assert agreement.largest_difference < TOLERANCE
    assert served.bundle.head, "explained in closed form, without TensorFlow"
    reading = served.read(picture(7))
    seen = fit(reading.picture, served.bundle.manifest.image).astype(np.float32)
    for target in range(len(CLASSES)):
        expected = class_activation_by_gradients(model, seen, target)
        np.testing.assert_allclose(served.activation(reading, target), expected, atol=1e-4)
    assert served.heat(reading, reading.best).shape == (SIZE, SIZE)


@pytest.mark.parametrize("name", LARGE)
def test_a_large_model_is_served_and_explained_as_it_is(name: str, tmp_path: Path) -> None:
    model = model_of(name)
    _learn_from(model, noise(2), 2)

    export_model(model, tmp_path)

    served = openvino.Core().compile_model(tmp_path / "model.xml", "CPU", F32)({"image": noise(2)})
    expected = np.asarray(model(noise(2), training=False))
    np.testing.assert_allclose(served["probabilities"], expected, atol=TOLERANCE)
    closed = class_activation(served["features"][0], dense_head(model), 1)
    gradients = class_activation_by_gradients(model, noise(2)[0], 1)
    np.testing.assert_allclose(closed, gradients, atol=1e-4)


def test_a_sigmoid_unit_is_served_as_two_classes(tmp_path: Path) -> None:
    model = model_of("separable_cnn")

    export_model(model, tmp_path)

    served = openvino.Core().compile_model(tmp_path / "model.xml", "CPU", F32)
    answer = served({"image": noise(2)})["probabilities"]
    np.testing.assert_allclose(answer, np.asarray(model(noise(2))), atol=1e-4)
