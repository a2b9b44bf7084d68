"""A bundle in less than 32-bit numbers: made here, and held against the Keras model it comes from.

``int8`` is post-training quantisation (Jacob et al. 2018, arXiv 1712.05877) by NNCF: weights and
activations become 8-bit integers, with ranges found on training images. ``bf16`` is no other file:
the processor is asked to calculate in that format (docs/decisions/precision.md).
"""

import itertools
import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines.data.input.training_set import Batch
from pipelines.errors import BundleError
from pipelines.evaluation.calibration import Probabilities, softmax
from pipelines.evaluation.decisions import Decisions
from pipelines.release.bundle import IR, Agreement, Bundle, BundleManifest
from pipelines.release.runtime import Tuning, difference, open_runtime

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)

CALIBRATION_IMAGES = 300
"""Training images that the ranges of activations are found on, as NNCF proposes."""


def quantise(folder: Path, training: Iterable[Batch]) -> None:
    """Put 8-bit weights and activations in the place of a folder's float32 OpenVINO model.

    Args:
        folder: holds ``model.xml`` and ``model.bin``.
        training: images the model learnt from.

    Raises:
        BundleError: there are no training images.
    """
    os.environ["NNCF_CI"] = "1"  # it reports to its makers otherwise
    import nncf
    import openvino

    images = [image[None] for image in _first(training, CALIBRATION_IMAGES)]
    if not images:
        raise BundleError("int8 needs training images to find its ranges on; there are none.")
    logger.info("quantising to int8, calibrated on %d training images", len(images))
    nncf.set_log_level(logging.WARNING)
    dataset = nncf.Dataset(images, lambda image: {"image": image.astype(np.float32)})
    graph = openvino.Core().read_model(folder / IR)
    quantised = nncf.quantize(graph, dataset, subset_size=len(images))
    del graph  # it holds the files that are replaced
    part = folder / f"int8-{IR}"
    openvino.save_model(quantised, part, compress_to_fp16=False)
    part.with_suffix(".bin").replace((folder / IR).with_suffix(".bin"))
    part.replace(folder / IR)


def measure_agreement(
    bundle: Bundle, model: "keras.Model", validation: Iterable[Batch]
) -> Agreement:
    """How a bundle answers beside its Keras model, on images neither learnt from.

    Args:
        bundle: as built so far; its manifest names precision and temperature.
        model: the Keras model.
        validation: labelled images.

    Raises:
        BundleError: OpenVINO cannot load the bundle's model.
    """
    import keras

    runtime = open_runtime(bundle, "openvino", Tuning())
    temperature = bundle.manifest.temperature
    ask = keras.Model(model.input, model.get_layer("logits").output)
    images, right, keras_right, apart = 0, 0, 0, 0.0
    for batch in validation:
        pixels = batch.images.astype(np.float32)
        ours = softmax(runtime.run(pixels)["logits"], temperature)
        theirs = softmax(np.asarray(ask(pixels, training=False)), temperature)
        images += len(pixels)
        right += _right(ours, batch, bundle.manifest)
        keras_right += _right(theirs, batch, bundle.manifest)
        apart = max(apart, difference(ours, theirs))
        logger.info("compared bundle and Keras model on %d validation images", images)
    return Agreement(
        images=images,
        accuracy=right / max(1, images),
        keras_accuracy=keras_right / max(1, images),
        largest_difference=apart,
    )


def _right(probabilities: Probabilities, batch: Batch, manifest: BundleManifest) -> int:
    """Images that are answered rightly, as the service decides."""
    thresholds = manifest.thresholds
    answers = Decisions.by_thresholds(probabilities, manifest.class_names, thresholds)
    return int(answers.right(batch.labels).sum())


def require_agreement(bundle: Bundle, *, max_loss: float) -> None:
    """Raises BundleError: the bundle has lost too much accuracy against its Keras model."""
    agreement, precision = bundle.manifest.agreement, bundle.manifest.precision
    assert agreement is not None
    if agreement.loss > max_loss + 1e-9:
        raise BundleError(
            f"bundle.precision={precision!r} costs {100 * agreement.loss:.2f} points of accuracy "
            f"on {agreement.images} validation images ({agreement.keras_accuracy:.2%} by the Keras "
            f"model, {agreement.accuracy:.2%} by the bundle); at most {100 * max_loss:g} are taken "
            "(gate.max_bundle_loss). Set bundle.precision to f32 or bf16 in the data set's YAML."
        )


def _first(batches: Iterable[Batch], count: int) -> Iterable[NDArray[np.uint8]]:
    images = (image for batch in batches for image in batch.images)
    return itertools.islice(images, count)
