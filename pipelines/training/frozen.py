"""Recipe ``frozen``: a new head on a pretrained backbone that does not move. Minutes."""

import itertools
from dataclasses import replace
from pathlib import Path

import keras

from pipelines.data.input.training_set import Images, Stream, TrainingSet
from pipelines.features.network import Backbone, describe_here
from pipelines.models.head import blocks, head_on_features
from pipelines.spec import CandidateSpec
from pipelines.training.batches import training_batches, validation_batches
from pipelines.training.checkpoint import Progress
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
    """Train the model's head on features computed once; the head's layers are the model's own.

    A frozen backbone gives the same numbers in every epoch, so this takes seconds.
    """
    for layer in itertools.chain(*blocks(model)):
        layer.trainable = False
    train, validation = streams(data, Backbone.of(candidate))
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


def streams(data: TrainingSet, backbone: Backbone) -> tuple[Stream, Stream]:
    """The features of the training and the validation images, float32 (k,), with their labels."""
    computed = (
        data.describe(data.table, backbone) if data.describe else describe_here(data, backbone)
    )

    def of(images: Images) -> Stream:
        return Stream(replace(images.arrays, folder=computed), images.labels())

    return of(data.split("train")), of(data.split("validation"))
