"""Recipe ``finetune``: a new head first, then the backbone's last blocks at a low rate.

Batch normalisation keeps its pretrained statistics: those of small batches of a few thousand
images are noisier.

The result is the best model of both phases. Their validation losses are the same quantity: the
same loss of the same images and labels, whether the features are computed before or meanwhile.
"""

import logging
from pathlib import Path

import keras

from pipelines.data.input.training_set import TrainingSet
from pipelines.models.head import blocks
from pipelines.spec import CandidateSpec
from pipelines.training.checkpoint import Progress
from pipelines.training.fit import OnEpoch
from pipelines.training.frozen import train_head
from pipelines.training.pixels import train_on_pixels
from pipelines.training.schedule import schedule_of

logger = logging.getLogger(__name__)


def finetune(
    model: keras.Model,
    data: TrainingSet,
    candidate: CandidateSpec,
    *,
    seed: int,
    folder: Path,
    on_epoch: OnEpoch,
    teacher: keras.Model | None,
) -> Progress:
    """Train the head, thaw, train on; epochs are counted through both phases.

    The head learns the labels, as it sees features and a teacher answers for images only. The
    model ends with the weights of the best epoch of both phases. Each phase keeps its own state
    and its own best weights in ``folder``, so this holds after a kill at any moment too.
    """
    first = train_head(
        model,
        data,
        candidate,
        seed=seed,
        folder=folder / "frozen",
        on_epoch=on_epoch,
    )
    # The pretrained backbone with the best head; a resumed call comes here with the same weights.
    head_weights = model.get_weights()
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
    head_is_best = first.best_loss <= second.best_loss
    if head_is_best:
        model.set_weights(head_weights)
        logger.info(
            "%s: fine-tuning did not lower the validation loss (%.4f, %.4f before); the model "
            "keeps the head trained on the pretrained backbone",
            *(candidate.name, second.best_loss, first.best_loss),
        )
    best = first if head_is_best else second
    return second.model_copy(
        update={
            "epochs": first.epochs + second.epochs,
            "history": first.history + second.history,
            "best_epoch": first.best_epoch if head_is_best else first.epochs + second.best_epoch,
            "best_loss": best.best_loss,
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
