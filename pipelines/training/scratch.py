"""Recipe ``scratch``: every weight random at first. Says what the data alone can teach."""

from pathlib import Path

import keras

from pipelines.data.input.training_set import TrainingSet
from pipelines.spec import CandidateSpec
from pipelines.training.checkpoint import Progress
from pipelines.training.fit import OnEpoch
from pipelines.training.pixels import train_on_pixels
from pipelines.training.schedule import schedule_of


def train_from_scratch(
    model: keras.Model,
    data: TrainingSet,
    candidate: CandidateSpec,
    *,
    seed: int,
    folder: Path,
    on_epoch: OnEpoch,
    teacher: keras.Model | None,
) -> Progress:
    """Train the whole model; see `train_on_pixels`."""
    return train_on_pixels(
        model,
        data,
        candidate,
        schedule=schedule_of(
            candidate, epochs=candidate.epochs, learning_rate=candidate.learning_rate
        ),
        seed=seed,
        folder=folder,
        on_epoch=on_epoch,
        teacher=teacher,
    )
