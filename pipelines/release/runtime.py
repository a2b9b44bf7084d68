"""A bundle's OpenVINO model, asked many images at a time."""

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import BundleError
from pipelines.release.bundle import OUTPUTS, Bundle

if TYPE_CHECKING:
    import keras

Outputs = dict[str, NDArray[np.float32]]


class OpenVinoRuntime:
    """Runs a bundle's model, compiled at the first call.

    Args:
        bundle: a verified bundle.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle

    @cached_property
    def _model(self) -> Any:
        import openvino

        options = {"INFERENCE_PRECISION_HINT": "f32"}
        try:
            return openvino.Core().compile_model(self.bundle.ir, "CPU", options)
        except RuntimeError as error:
            first = str(error).splitlines()[0]
            raise BundleError(
                f"Bundle {self.bundle.folder}: OpenVINO cannot load model.xml: {first}"
            ) from error

    def run(self, images: NDArray[np.float32]) -> Outputs:
        """Ask the model.

        Args:
            images: float32 (n, size, size, 3), 0 to 255.

        Returns:
            ``probabilities`` and ``logits`` (n, classes), ``features`` (n, h, w, k).

        Raises:
            BundleError: the model cannot be loaded.
        """
        answer = self._model(images)
        return {name: np.array(answer[name], np.float32) for name in OUTPUTS}


def agreement(bundle: Bundle, model: "keras.Model", images: NDArray[np.float32]) -> float:
    """Largest difference of a probability between a bundle and a Keras model.

    Args:
        bundle: a verified bundle.
        model: the Keras model it should agree with.
        images: float32 (n, size, size, 3), 0 to 255.
    """
    ours = OpenVinoRuntime(bundle).run(images)["probabilities"]
    return difference(ours, np.asarray(model(images, training=False)))


def difference(ours: NDArray[np.floating], theirs: NDArray[np.floating]) -> float:
    """Largest difference of two sets of probabilities; a value that is no number counts as 1."""
    return float(np.nan_to_num(np.abs(ours - theirs), nan=1.0, posinf=1.0).max(initial=0.0))
