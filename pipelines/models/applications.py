"""Backbones of ``keras.applications``: how they are joined to a model, and get their weights.

Keras keeps the weights that it downloads in the folder ``models`` of its home (``~/.keras``, or
``KERAS_HOME``). On a machine with no way out they can be put there by hand.
"""

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import keras

from pipelines.errors import WeightsUnavailable
from pipelines.models.head import FEATURES

logger = logging.getLogger(__name__)

SITE = "https://storage.googleapis.com/tensorflow/keras-applications"
SECONDS = 5.0
"""How long the site of the weights is waited for."""


@dataclass(frozen=True)
class Application:
    """A backbone of Keras without its head, and its published ImageNet weights."""

    build: Callable[..., keras.Model]
    file: str
    """Below `SITE`."""

    def on(self, pixels: keras.KerasTensor) -> keras.Model:
        """The backbone with random weights behind ``pixels``, prepared as its authors did."""
        return self.build(include_top=False, weights=None, input_tensor=pixels)

    def from_file(self, path: Path) -> keras.Model:
        """The backbone with the weights of a published file."""
        return self.build(include_top=False, weights=str(path))

    def from_imagenet(self) -> keras.Model:
        """The backbone with its published weights; downloaded if they are not there yet.

        Raises:
            WeightsUnavailable: they are not there, and cannot be downloaded.
        """
        try:
            if not self._kept.is_file():
                # Keras waits for a silent network for minutes.
                httpx.head(self._url, timeout=SECONDS).raise_for_status()
                logger.info("downloading %s", self._url)
            return self.build(include_top=False, weights="imagenet")
        except Exception as error:  # whatever a download may end with
            raise WeightsUnavailable(
                f"The ImageNet weights {self._kept.name} are not in {self._kept.parent} and "
                f"cannot be downloaded ({error}). Where there is a way out, get {self._url} and "
                "put it into that folder, or set the candidate's weights to its path; or set "
                "weights to null, with recipe scratch."
            ) from error

    @property
    def _url(self) -> str:
        return f"{SITE}/{self.file}"

    @property
    def _kept(self) -> Path:
        home = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
        return home / "models" / Path(self.file).name


def named_features(feature_map: keras.KerasTensor) -> keras.KerasTensor:
    """The last feature map by the name that it has here."""
    return keras.layers.Identity(name=FEATURES)(feature_map)


def copy_weights(
    application: keras.Model, model: keras.Model, names: Mapping[str, str] | None = None
) -> None:
    """Give a model's layers the weights of a backbone's.

    Args:
        application: the backbone, with weights.
        model: has a layer for each of its layers with weights.
        names: name in the backbone → name in the model, where they differ.
    """
    for layer in application.layers:
        if layer.weights:
            name = (names or {}).get(layer.name, layer.name)
            model.get_layer(name).set_weights(layer.get_weights())
