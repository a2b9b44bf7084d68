"""Recipe ``frozen``: a new head on a pretrained backbone that does not move. Minutes."""

import itertools
from pathlib import Path

import keras

from pipelines.data.input.training_set import TrainingSet
from pipelines.models.head import blocks, head_on_features
from pipelines.spec import CandidateSpec
from pipelines.training.batches import training_batches, validation_batches
from pipelines.training.checkpoint import Progress
from pipelines.training.features import feature_stream
from pipelines.training.fit import OnEpoch, fit
from pipelines.training.objective import compile_for
from pipelines.training.schedule import schedule_of


def train_head(
    model: keras.Model,
    data: TrainingSet,
    candidate: CandidateSpec,
    *,
    seed: int,
    folder: Path,
    on_epoch: OnEpoch,
) -> Progress:
    """Train the model's head on features computed once; the head's layers are the model's own."""
    for layer in itertools.chain(*blocks(model)):
        layer.trainable = False
    train = feature_stream(data, "train", model)
    validation = feature_stream(data, "validation", model)
    head = head_on_features(model)
    compile_for(head, candidate, learning_rate=candidate.learning_rate)
    return fit(
        head,
        training_batches(train, data, candidate, strength="none", seed=seed),
        validation_batches(validation, data, batch_size=candidate.batch_size),
        schedule=schedule_of(
            candidate, epochs=candidate.epochs, learning_rate=candidate.learning_rate
        ),
        seed=seed,
        folder=folder,
        on_epoch=on_epoch,
    )
