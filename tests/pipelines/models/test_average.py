"""A mean over poses or models answers as its readings together, from one file and one graph."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.evaluation.geometry import cells_of
from pipelines.evaluation.gradcam import class_activation
from pipelines.evaluation.gradcam_autodiff import class_activation_by_gradients
from pipelines.evaluation.head import dense_head
from pipelines.models.average import over_models, over_poses
from pipelines.models.registry import build
from pipelines.release.export import export_model

SIZE = 64
IMAGES = np.random.default_rng(0).uniform(0, 255, (3, SIZE, SIZE, 3)).astype(np.float32)


def member(seed: int) -> keras.Model:
    """A small network that tells images apart, without being trained."""
    keras.utils.set_random_seed(seed)
    built = build("strided_cnn", size=SIZE, classes=3, weights=None)
    built.get_layer("logits").kernel.assign(built.get_layer("logits").kernel * 200)
    return built


def ensemble() -> keras.Model:
    """Of two members, the first of which averages over poses itself."""
    return over_models([over_poses(member(1), "mirrored"), member(2)])


AVERAGES = {
    "mirrored": lambda: over_poses(member(1), "mirrored"),
    "flipped": lambda: over_poses(member(1), "flipped"),
    "ensemble": ensemble,
}


def outputs(model: keras.Model, name: str, images: NDArray[np.float32] = IMAGES) -> Any:
    return keras.Model(model.input, model.get_layer(name).output).predict(images, verbose=0)


def test_logits_are_the_mean_over_poses() -> None:
    model = member(1)
    poses = [IMAGES, IMAGES[:, :, ::-1], IMAGES[:, ::-1], IMAGES[:, ::-1, ::-1]]
    each = [outputs(model, "logits", pose) for pose in poses]
    assert np.ptp(each[0]) > 0.01
    assert outputs(AVERAGES["mirrored"](), "logits") == pytest.approx(
        np.mean(each[:2], axis=0), abs=1e-4
    )
    assert outputs(AVERAGES["flipped"](), "logits") == pytest.approx(
        np.mean(each, axis=0), abs=1e-4
    )


def test_logits_are_the_mean_over_members() -> None:
    each = [outputs(over_poses(member(1), "mirrored"), "logits"), outputs(member(2), "logits")]
    assert outputs(ensemble(), "logits") == pytest.approx(np.mean(each, axis=0), abs=1e-4)


def test_one_pose_is_the_model_itself() -> None:
    model = member(1)
    assert over_poses(model, "upright") is model


@pytest.mark.parametrize("kind", AVERAGES)
def test_an_average_is_saved_exported_and_explained_as_one_model(kind: str, tmp_path: Path) -> None:
    import openvino

    built = AVERAGES[kind]()
    built.save(tmp_path / "model.keras")
    model = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    expected = built.predict(IMAGES, verbose=0)

    assert model.predict(IMAGES, verbose=0) == pytest.approx(expected, abs=1e-5)
    assert outputs(model, "features") == pytest.approx(outputs(member(1), "features"), abs=1e-4)
    assert cells_of(model) == cells_of(member(1))
    export_model(model, tmp_path)
    served = openvino.Core().compile_model(
        tmp_path / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )(IMAGES)
    assert served["probabilities"] == pytest.approx(expected, abs=1e-3)
    features = outputs(model, "features")[0]
    for target in range(3):
        closed = class_activation(features, dense_head(model), target)
        assert closed.max() == pytest.approx(1) or not closed.any()
        defined = class_activation_by_gradients(model, IMAGES[0], target)
        assert closed == pytest.approx(defined, abs=1e-4)
