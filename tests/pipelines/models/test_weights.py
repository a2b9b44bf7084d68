"""ImageNet weights: the published networks' answers, or a plain word on what is missing."""

import socket
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from keras.applications import DenseNet121, InceptionV3, ResNet50, densenet, inception_v3, resnet
from keras.src.applications import densenet as densenet_source
from keras.src.applications import inception_v3 as inception_source
from keras.src.applications import resnet as resnet_source
from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

from pipelines.errors import WeightsError, WeightsUnavailable
from pipelines.models import imagenet
from pipelines.models.head import backbone
from pipelines.models.registry import build

PICTURES = np.random.default_rng(1).uniform(0, 255, (2, 96, 96, 3)).astype(np.float32)
PUBLISHED = {
    "densenet121": (DenseNet121, densenet.preprocess_input),
    "inception_v3": (InceptionV3, inception_v3.preprocess_input),
    "resnet50": (ResNet50, resnet.preprocess_input),
}


def _published(application: keras.Model, path: Path) -> str:
    """A file such as Keras publishes."""
    import h5py

    with h5py.File(path, "w") as file:
        save_weights_to_hdf5_group(file, application)
    return str(path)


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_a_published_file_gives_the_published_features(name: str, tmp_path: Path) -> None:
    application, prepare = PUBLISHED[name]
    theirs = application(include_top=False, weights=None, input_shape=(96, 96, 3))
    file = _published(theirs, tmp_path / "w.h5")

    ours = build(name, size=96, input_size=96, classes=2, weights=file)

    expected = np.asarray(theirs(prepare(PICTURES.copy()), training=False))
    seen = np.asarray(backbone(ours)(PICTURES, training=False))
    np.testing.assert_allclose(seen, expected, atol=1e-4 * np.abs(expected).max())


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.h5").write_bytes(b"no weights")

    with pytest.raises(WeightsError, match=r"w\.h5 does not fit resnet50"):
        build("resnet50", size=64, classes=2, weights=str(tmp_path / "w.h5"))


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine whose way out is closed, and where Keras keeps nothing; its home."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(imagenet, "SITE", "https://127.0.0.1:9/keras")
    return tmp_path


def test_on_a_closed_machine_it_is_said_at_once_what_to_do(closed: Path) -> None:
    began = time.monotonic()

    with pytest.raises(WeightsUnavailable) as caught:
        imagenet.require_imagenet("resnet50")

    assert time.monotonic() - began < imagenet.SECONDS + 2
    told = str(caught.value)
    assert str(closed / "models" / "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5") in told
    assert "https://127.0.0.1:9/keras/resnet/resnet50_weights" in told
    assert "weights null, recipe scratch" in told


@pytest.mark.usefixtures("closed")
def test_a_site_that_does_not_answer_is_not_waited_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        monkeypatch.setattr(imagenet, "SITE", f"http://127.0.0.1:{port}")
        monkeypatch.setattr(imagenet, "SECONDS", 0.2)
        began = time.monotonic()
        with pytest.raises(WeightsUnavailable, match="timed out"):
            imagenet.require_imagenet("densenet121")

    assert time.monotonic() - began < 3


def test_weights_that_were_put_there_by_hand_are_found(closed: Path) -> None:
    file = imagenet.kept("inception_v3")
    file.parent.mkdir()
    file.write_bytes(b"weights")

    assert file.parent == closed / "models"
    imagenet.require_imagenet("inception_v3")


def test_the_files_are_those_that_keras_asks_for() -> None:
    urls = {name: f"{imagenet.SITE}/{file}" for name, file in imagenet.FILES.items()}

    assert urls["densenet121"] == densenet_source.DENSENET121_WEIGHT_PATH_NO_TOP
    assert urls["inception_v3"] == inception_source.WEIGHTS_PATH_NO_TOP
    assert urls["resnet50"].startswith(resnet_source.BASE_WEIGHTS_PATH)


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imagenet, "PACKAGES", {"efficientnet_lite0": "no_such_package"})

    with pytest.raises(WeightsUnavailable, match="install the package no_such_package"):
        imagenet.require_imagenet("efficientnet_lite0")
