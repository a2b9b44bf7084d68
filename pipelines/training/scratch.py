"""Recipe ``scratch``: every weight random at first. Says what the data alone can teach."""

from pathlib import Path

import keras

from pipelines.data.shards import Shards
from pipelines.spec import CandidateSpec
from pipelines.training.checkpoint import Progress
from pipelines.training.fit import OnEpoch, Schedule
from pipelines.training.pixels import train_on_pixels


def train_from_scratch(
    model: keras.Model,
    data: Shards,
    candidate: CandidateSpec,
    *,
    seed: int,
    folder: Path,
    class_weight: dict[int, float] | None,
    on_epoch: OnEpoch,
) -> Progress:
    """Train the whole model."""
    return train_on_pixels(
        model,
        data,
        candidate,
        schedule=Schedule(candidate.epochs, candidate.learning_rate, candidate.patience),
        seed=seed,
        folder=folder,
        class_weight=class_weight,
        on_epoch=on_epoch,
    )
