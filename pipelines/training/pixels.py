"""Training on pictures: what recipes ``scratch`` and ``finetune`` share."""

from pathlib import Path

import keras

from pipelines.data.input.training_set import TrainingSet, pixels
from pipelines.spec import CandidateSpec
from pipelines.training.batches import taught, training_batches, validation_batches
from pipelines.training.checkpoint import Progress
from pipelines.training.fit import OnEpoch, fit
from pipelines.training.objective import compile_for
from pipelines.training.schedule import Schedule


def train_on_pixels(
    model: keras.Model,
    data: TrainingSet,
    candidate: CandidateSpec,
    *,
    schedule: Schedule,
    seed: int,
    folder: Path,
    on_epoch: OnEpoch,
    teacher: keras.Model | None,
) -> Progress:
    """Train every layer that is trainable, on augmented pictures.

    Where there is a teacher, its answers are learned and not the labels; the training's accuracy
    then is how often both agree.
    """
    train, validation = pixels(data.split("train")), pixels(data.split("validation"))
    logits = keras.Model(model.input, model.get_layer("logits").output)
    epoch_data = training_batches(train, data, candidate, strength=candidate.augment, seed=seed)
    compile_for(logits, candidate, learning_rate=schedule.learning_rate)
    return fit(
        logits,
        epoch_data if teacher is None else lambda epoch: taught(epoch_data(epoch), teacher),
        validation_batches(validation, data, batch_size=candidate.batch_size),
        schedule=schedule,
        seed=seed,
        folder=folder,
        on_epoch=on_epoch,
    )
