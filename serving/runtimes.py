"""What runs a bundle's model: OpenVINO, or TensorFlow as the other choice.

Both take one batch of images and give the three outputs by name. Each may be called from
several threads at once.
"""

import logging
import threading
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import BundleError
from pipelines.release.bundle import OUTPUTS, Bundle

logger = logging.getLogger(__name__)

RuntimeName = Literal["openvino", "tensorflow"]
Outputs = dict[str, NDArray[np.float32]]


class Runtime(Protocol):
    """A compiled model."""

    def __call__(self, images: NDArray[np.float32]) -> Outputs:
        """Run a batch.

        Args:
            images: float32 (batch, size, size, 3), 0 to 255.

        Returns:
            ``probabilities`` and ``logits`` (batch, classes), ``features`` (batch, h, w, k).
        """


def open_runtime(bundle: Bundle, name: RuntimeName, *, cache: Path, threads: int) -> Runtime:
    """Compile a bundle's model.

    Args:
        bundle: a verified bundle.
        name: which runtime.
        cache: folder where compiled models are kept, so that the next start is quick.
        threads: how many processor threads one inference may use.

    Raises:
        BundleError: the runtime cannot load the model, or it lacks an output.
    """
    try:
        if name == "tensorflow":
            return TensorFlowRuntime(bundle, threads=threads)
        return OpenVinoRuntime(bundle, cache=cache, threads=threads)
    except BundleError:
        raise
    except Exception as error:
        raise BundleError(f"Bundle {bundle.folder}: {name} cannot load it: {error}") from error


class OpenVinoRuntime:
    """The bundle's OpenVINO model, tuned for the answer time of one image."""

    def __init__(self, bundle: Bundle, *, cache: Path, threads: int) -> None:
        import openvino

        core = openvino.Core()
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32",
            "CACHE_DIR": str(cache / "openvino"),
        }
        self._model = core.compile_model(core.read_model(bundle.ir), "CPU", options)
        names = {name for output in self._model.outputs for name in output.get_names()}
        for name in OUTPUTS:
            if name not in names:
                raise BundleError(f"Bundle {bundle.folder}: the model has no output {name!r}.")
        self._local = threading.local()

    def __call__(self, images: NDArray[np.float32]) -> Outputs:
        request = self._request()
        request.infer({"image": images}, share_inputs=True)
        return {name: request.get_tensor(name).data.copy() for name in OUTPUTS}

    def _request(self) -> Any:
        """This thread's own request: one cannot serve two threads."""
        if not hasattr(self._local, "request"):
            self._local.request = self._model.create_infer_request()
        return self._local.request


class TensorFlowRuntime:
    """The bundle's Keras model, as one compiled graph."""

    def __init__(self, bundle: Bundle, *, threads: int) -> None:
        import keras
        import tensorflow as tf

        limit_tensorflow(threads)
        model = keras.saving.load_model(bundle.keras, compile=False)
        outputs = {name: model.get_layer(name).output for name in OUTPUTS}
        shape = (None, *model.input_shape[1:])
        self._graph = tf.function(
            keras.Model(model.inputs, outputs),
            input_signature=[tf.TensorSpec(shape, tf.float32)],
        )

    def __call__(self, images: NDArray[np.float32]) -> Outputs:
        return {name: tensor.numpy() for name, tensor in self._graph(images).items()}


def limit_tensorflow(threads: int) -> None:
    """Bound TensorFlow's threads; only possible before its first use in a process."""
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:
        logger.debug("TensorFlow runs already; its threads stay as they are")
