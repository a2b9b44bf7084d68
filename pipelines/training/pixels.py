"""Training on pictures: what recipes ``scratch`` and ``finetune`` share."""

from pathlib import Path
from typing import TYPE_CHECKING

import keras

from pipelines.data.shards import Shards
from pipelines.data.streams import pixels
from pipelines.spec import CandidateSpec
from pipelines.training.augment import augment
from pipelines.training.checkpoint import Progress
from pipelines.training.fit import OnEpoch, Schedule, fit

if TYPE_CHECKING:
    import tensorflow as tf


def train_on_pixels(
    model: keras.Model,
    data: Shards,
    candidate: CandidateSpec,
    *,
    schedule: Schedule,
    seed: int,
    folder: Path,
    class_weight: dict[int, float] | None,
    on_epoch: OnEpoch,
) -> Progress:
    """Train every layer that is trainable, on augmented pictures."""
    train, validation = pixels(data.split("train")), pixels(data.split("validation"))
    logits = keras.Model(model.input, model.get_layer("logits").output)
    logits.compile(
        keras.optimizers.Adam(schedule.learning_rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )

    def epoch_data(epoch: int) -> "tf.data.Dataset":
        batches = train.shuffled(candidate.batch_size, seed=seed, epoch=epoch)
        return augment(batches, candidate.augment, seed=(seed, epoch))

    return fit(
        logits,
        epoch_data,
        validation.in_order(candidate.batch_size),
        schedule=schedule,
        seed=seed,
        folder=folder,
        class_weight=class_weight,
        on_epoch=on_epoch,
    )
