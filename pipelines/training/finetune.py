"""Recipe ``finetune``: a new head first, then the backbone's last blocks at a low rate.

Batch normalisation keeps its pretrained statistics: those of small batches of a few thousand
images are noisier.
"""

from pathlib import Path

import keras

from pipelines.data.shards import Shards
from pipelines.models.head import blocks
from pipelines.spec import CandidateSpec
from pipelines.training.checkpoint import Progress
from pipelines.training.fit import OnEpoch
from pipelines.training.frozen import train_head
from pipelines.training.pixels import train_on_pixels
from pipelines.training.schedule import schedule_of


def finetune(
    model: keras.Model,
    data: Shards,
    candidate: CandidateSpec,
    *,
    seed: int,
    folder: Path,
    on_epoch: OnEpoch,
    teacher: keras.Model | None,
) -> Progress:
    """Train the head, thaw, train on; epochs are counted through both phases.

    The head learns the labels, as it sees features and a teacher answers for images only.
    """
    first = train_head(
        model,
        data,
        candidate,
        seed=seed,
        folder=folder / "frozen",
        on_epoch=on_epoch,
    )
    thaw(model, candidate.finetune_layers)
    second = train_on_pixels(
        model,
        data,
        candidate,
        schedule=schedule_of(
            candidate,
            epochs=candidate.finetune_epochs,
            learning_rate=candidate.finetune_learning_rate,
        ),
        seed=seed,
        folder=folder / "finetune",
        on_epoch=lambda epoch, metrics: on_epoch(first.epochs + epoch, metrics),
        teacher=teacher,
    )
    return second.model_copy(
        update={
            "epochs": first.epochs + second.epochs,
            "history": first.history + second.history,
            "best_epoch": first.epochs + second.best_epoch,
            "seconds": first.seconds + second.seconds,
        }
    )


def thaw(model: keras.Model, last: int | None) -> None:
    """Let the backbone's ``last`` blocks learn (all if ``None``), batch normalisation never."""
    every = blocks(model)
    learning = every if last is None else every[-last:]
    for block in every:
        for layer in block:
            still = isinstance(layer, keras.layers.BatchNormalization)
            layer.trainable = not still and any(block is one for one in learning)
