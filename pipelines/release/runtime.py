"""What runs a bundle's model: OpenVINO, or TensorFlow as the other choice.

Both take a batch of images and give the three outputs by name. Each may be called from several
threads at once.
"""

import logging
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import BundleError
from pipelines.release.bundle import OUTPUTS, Bundle

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)

RuntimeName = Literal["openvino", "tensorflow"]
Goal = Literal["latency", "throughput"]
Outputs = dict[str, NDArray[np.float32]]


def _processors() -> int:
    return len(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Tuning:
    """How a model uses the processor."""

    goal: Goal = "latency"
    """``latency``: all threads work on one batch, for the soonest answer. ``throughput``: each
    thread works on a batch of its own, for the most answers when many ask at once."""
    threads: int = field(default_factory=_processors)
    """Processor threads, in all."""
    cache: Path | None = None
    """Folder where compiled models are kept, so that the next start is quick."""


class Runtime(Protocol):
    """A compiled model."""

    def run(self, images: NDArray[np.float32]) -> Outputs:
        """Run a batch.

        Args:
            images: float32 (batch, size, size, 3), 0 to 255.

        Returns:
            ``probabilities`` and ``logits`` (batch, classes), ``features`` (batch, h, w, k).
        """


def open_runtime(bundle: Bundle, name: RuntimeName, tuning: Tuning) -> Runtime:
    """Compile a bundle's model.

    Raises:
        BundleError: the runtime cannot load the model, or it lacks an output.
    """
    try:
        if name == "tensorflow":
            return TensorFlowRuntime(bundle, tuning)
        return OpenVinoRuntime(bundle, tuning)
    except BundleError:
        raise
    except Exception as error:
        first = str(error).strip().splitlines()[0]
        raise BundleError(f"Bundle {bundle.folder}: {name} cannot load it: {first}") from error


class OpenVinoRuntime:
    """The bundle's OpenVINO model.

    A single image runs in a model of its own, compiled for just that shape: its answers are the
    same to the bit, and take 10 to 15 % less processor time (docs/decisions/batching.md). Not so in
    int8, where OpenVINO 2026.4 answers otherwise. The model for batches is compiled when the first
    batch comes.
    """

    def __init__(self, bundle: Bundle, tuning: Tuning) -> None:
        import openvino

        self._core = openvino.Core()
        self._ir = bundle.ir
        self._options = _options(self._core, bundle, tuning)
        self._is_single_apart = bundle.manifest.precision != "int8"
        self._compiling = threading.Lock()
        self._compiled: dict[bool, Any] = {}
        """Whether it takes one image at a time → model."""
        self._local = threading.local()
        first = self._model(is_single=self._is_single_apart)
        names = {name for output in first.outputs for name in output.get_names()}
        for name in OUTPUTS:
            if name not in names:
                raise BundleError(f"Bundle {bundle.folder}: the model has no output {name!r}.")

    def run(self, images: NDArray[np.float32]) -> Outputs:
        """Run a batch; see `Runtime.run`."""
        request = self._request(is_single=self._is_single_apart and len(images) == 1)
        request.infer({"image": images}, share_inputs=True)
        return {name: request.get_tensor(name).data.copy() for name in OUTPUTS}

    def _request(self, *, is_single: bool) -> Any:
        """This thread's own request: one cannot serve two threads."""
        name = "single" if is_single else "batch"
        if not hasattr(self._local, name):
            setattr(self._local, name, self._model(is_single=is_single).create_infer_request())
        return getattr(self._local, name)

    def _model(self, *, is_single: bool) -> Any:
        with self._compiling:
            if is_single not in self._compiled:
                model = self._core.read_model(self._ir)
                if is_single:
                    model.reshape({"image": [1, *model.input("image").partial_shape[1:]]})
                compiled = self._core.compile_model(model, "CPU", self._options)
                self._compiled[is_single] = compiled
            return self._compiled[is_single]


def _options(core: Any, bundle: Bundle, tuning: Tuning) -> dict[str, str]:
    streams = tuning.threads if tuning.goal == "throughput" else 1
    options = {
        "PERFORMANCE_HINT": tuning.goal.upper(),
        "INFERENCE_NUM_THREADS": str(tuning.threads),
        "NUM_STREAMS": str(streams),
        "INFERENCE_PRECISION_HINT": _precision(core, bundle),
    }
    if tuning.cache is not None:
        options["CACHE_DIR"] = str(tuning.cache / "openvino")
    return options


def _precision(core: Any, bundle: Bundle) -> str:
    """What is not stored as 8-bit integers is calculated in: bf16 if that is asked for and had."""
    if bundle.manifest.precision != "bf16":
        return "f32"
    if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        logger.warning("%s: this processor has no bf16; it calculates in f32", bundle.folder)
        return "f32"
    return "bf16"


class TensorFlowRuntime:
    """The bundle's Keras model, as one compiled graph."""

    def __init__(self, bundle: Bundle, tuning: Tuning) -> None:
        import keras
        import tensorflow as tf

        limit_tensorflow(tuning)
        model = keras.saving.load_model(bundle.keras, compile=False)
        outputs = {name: model.get_layer(name).output for name in OUTPUTS}
        shape = (None, *model.input_shape[1:])
        self._graph = tf.function(
            keras.Model(model.inputs, outputs),
            input_signature=[tf.TensorSpec(shape, tf.float32)],
        )

    def run(self, images: NDArray[np.float32]) -> Outputs:
        """Run a batch; see `Runtime.run`."""
        return {name: tensor.numpy() for name, tensor in self._graph(images).items()}


def limit_tensorflow(tuning: Tuning) -> None:
    """Bound TensorFlow's threads; only possible before its first use in a process."""
    import tensorflow as tf

    each = 1 if tuning.goal == "throughput" else tuning.threads
    try:
        tf.config.threading.set_intra_op_parallelism_threads(each)
        tf.config.threading.set_inter_op_parallelism_threads(tuning.threads)
    except RuntimeError:
        logger.debug("TensorFlow runs already; its threads stay as they are")


def agreement(bundle: Bundle, model: "keras.Model", images: NDArray[np.float32]) -> float:
    """Largest difference of a probability between a bundle and a Keras model.

    Args:
        bundle: a verified bundle.
        model: the Keras model it should agree with.
        images: float32 (n, size, size, 3), 0 to 255.
    """
    ours = open_runtime(bundle, "openvino", Tuning()).run(images)["probabilities"]
    return difference(ours, np.asarray(model(images, training=False)))


def difference(ours: NDArray[np.floating], theirs: NDArray[np.floating]) -> float:
    """Largest difference of two sets of probabilities; a value that is no number counts as 1."""
    return float(np.nan_to_num(np.abs(ours - theirs), nan=1.0, posinf=1.0).max(initial=0.0))
