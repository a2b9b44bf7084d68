"""The U-Net's training; killed at any moment, the same call goes on."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import keras

from pipelines.data.input.training_set import TrainingSet
from pipelines.errors import TrainingError
from pipelines.segmentation import examples
from pipelines.segmentation.unet import build
from pipelines.spec import SegmenterSpec
from pipelines.training.checkpoint import Progress
from pipelines.training.fit import OnEpoch, fit
from pipelines.training.schedule import Schedule

if TYPE_CHECKING:
    import tensorflow as tf

logger = logging.getLogger(__name__)

LEAST = 8
"""Images with a mask without which nothing can be learned or judged, in either split."""


def train(
    said: SegmenterSpec,
    data: TrainingSet,
    *,
    seed: int,
    folder: Path,
    on_epoch: OnEpoch,
    without: frozenset[str] = examples.NO_GROUPS,
) -> tuple[keras.Model, Progress]:
    """Train a U-Net on the images of the training split that have a mask.

    Args:
        said: how.
        data: the training set.
        seed: of weights, order and turns.
        folder: this training's own; kept between calls, it is where a killed one resumes.
        on_epoch: told of each new epoch.
        without: groups of the training split that it does not learn from.

    Returns:
        The network, with the weights of its best epoch on the validation split, and its history.

    Raises:
        TrainingError: too few images have a mask.
        TrainingDiverged: the loss is no longer a number.
    """
    counts = {name: len(examples.masked(data.split(name))) for name in ("train", "validation")}
    for name, count in counts.items():
        if count < LEAST:
            raise TrainingError(
                f"Only {count} images of the {name} split have a mask of their lesion, {LEAST} are "
                "needed. Say where masks stand (landing.masks), land them, and prepare anew."
            )
    keras.utils.set_random_seed(seed)
    model = build(data.size)
    model.compile(keras.optimizers.Adam(said.learning_rate), loss=loss, metrics=[_right_pixels()])
    learned = len(examples.masked(data.split("train"), without=without))
    logger.info("training a U-Net on %d images with a mask", learned)

    def epoch_data(epoch: int) -> "tf.data.Dataset":
        return examples.shuffled(
            data.split("train"), said.batch_size, seed=seed, epoch=epoch, without=without
        )

    progress = fit(
        model,
        epoch_data,
        examples.in_order(data.split("validation"), said.batch_size),
        schedule=Schedule(
            said.epochs, said.learning_rate, said.patience, max(2, said.patience // 2)
        ),
        seed=seed,
        folder=folder,
        on_epoch=on_epoch,
    )
    return model, progress


def loss(true: keras.KerasTensor, said: keras.KerasTensor) -> keras.KerasTensor:
    """Soft Dice loss (Milletari et al. 2016) of each image plus cross-entropy of its pixels."""
    entropy = keras.losses.binary_crossentropy(true, said)
    covered = keras.losses.dice(true, said, axis=(1, 2, 3))
    return keras.ops.mean(entropy, axis=(1, 2)) + covered


def _right_pixels() -> keras.metrics.Metric:
    return keras.metrics.BinaryAccuracy(name="accuracy")
