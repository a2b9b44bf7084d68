"""Recipe ``frozen``: a new head on a pretrained backbone that does not move. Minutes."""

import itertools
from pathlib import Path

import keras

from pipelines.data.shards import Shards
from pipelines.models.head import blocks, head_on_features
from pipelines.spec import CandidateSpec
from pipelines.training.checkpoint import Progress
from pipelines.training.features import feature_stream
from pipelines.training.fit import OnEpoch, Schedule, fit


def train_head(
    model: keras.Model,
    data: Shards,
    candidate: CandidateSpec,
    *,
    seed: int,
    folder: Path,
    class_weight: dict[int, float] | None,
    on_epoch: OnEpoch,
) -> Progress:
    """Train the model's head on features computed once; the head's layers are the model's own."""
    for layer in itertools.chain(*blocks(model)):
        layer.trainable = False
    train = feature_stream(data, "train", model)
    validation = feature_stream(data, "validation", model)
    head = head_on_features(model)
    head.compile(
        keras.optimizers.Adam(candidate.learning_rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return fit(
        head,
        lambda epoch: train.shuffled(candidate.batch_size, seed=seed, epoch=epoch),
        validation.in_order(candidate.batch_size),
        schedule=Schedule(candidate.epochs, candidate.learning_rate, candidate.patience),
        seed=seed,
        folder=folder,
        class_weight=class_weight,
        on_epoch=on_epoch,
    )
