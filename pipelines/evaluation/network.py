"""A trained network that is asked about many images: loaded once, each answer traced once."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.cells import Cells
from pipelines.evaluation.geometry import cells_of
from pipelines.hashing import file_digest

if TYPE_CHECKING:
    import keras

Answers = NDArray[np.float32]
Traced = Callable[[NDArray[np.float32]], Any]


class Network:
    """A Keras model of the zoo.

    Args:
        model: with layers ``features`` and ``logits``. Weights that are changed later count.
        sha256: of the file that it was loaded from.
    """

    def __init__(self, model: "keras.Model", sha256: str | None = None) -> None:
        self.model = model
        self.sha256 = sha256

    @classmethod
    def load(cls, file: Path) -> "Network":
        """The network of a ``.keras`` file."""
        import keras

        return cls(keras.saving.load_model(file, compile=False), file_digest(file))

    @property
    def size(self) -> int:
        """Side of its images in pixels."""
        return int(self.model.input_shape[1])

    @cached_property
    def cells(self) -> Cells:
        """Where the cells of its last feature map look."""
        return cells_of(self.model)

    def logits(self, images: NDArray[np.generic]) -> Answers:
        """(n, classes) what it says of (n, size, size, 3) images, 0 to 255, before softmax."""
        answers: Answers = self._logits(images.astype(np.float32)).numpy()
        return answers

    def features(self, images: NDArray[np.generic]) -> Answers:
        """(n, h, w, k) its last feature map of (n, size, size, 3) images, 0 to 255."""
        maps: Answers = self._features(images.astype(np.float32)).numpy()
        return maps

    @cached_property
    def _logits(self) -> Traced:
        return self._traced("logits")

    @cached_property
    def _features(self) -> Traced:
        return self._traced("features")

    def _traced(self, layer: str) -> Traced:
        """The graph up to a layer; ``model.predict`` would be traced anew for each shape."""
        import keras
        import tensorflow as tf

        part = keras.Model(self.model.inputs[0], self.model.get_layer(layer).output)
        signature = [tf.TensorSpec((None, *self.model.input_shape[1:]), tf.float32)]
        traced: Traced = tf.function(
            lambda images: part(images, training=False), input_signature=signature
        )
        return traced
