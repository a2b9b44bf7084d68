"""A tiny model and its bundle, built once."""

from pathlib import Path

import keras
import pytest

from tests.pipelines.release.models import tiny_bundle, tiny_model


@pytest.fixture(scope="session")
def model() -> keras.Model:
    """A tiny model."""
    return tiny_model()


@pytest.fixture(scope="session")
def bundle_folder(model: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its bundle; not to be changed."""
    return tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny", model)
