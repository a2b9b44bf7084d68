"""Train a compiled model epoch by epoch: early stopping, a schedule, checkpoints.

Keras' own callbacks forget their state when a process dies. Here what the schedule knows is a
few plain numbers (`checkpoint.Progress`), saved with the weights after every epoch.
"""

import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from pipelines.errors import TrainingDiverged
from pipelines.training import checkpoint
from pipelines.training.checkpoint import Progress
from pipelines.training.schedule import Schedule, advance

if TYPE_CHECKING:
    import tensorflow as tf

logger = logging.getLogger(__name__)

OnEpoch = Callable[[int, dict[str, float]], None]
"""Told the epoch, counted from 1, and its metrics."""

SECONDS_BETWEEN_LINES = 10.0


def fit(
    model: keras.Model,
    epoch_data: Callable[[int], "tf.data.Dataset"],
    validation: "tf.data.Dataset",
    *,
    schedule: Schedule,
    seed: int,
    folder: Path,
    on_epoch: OnEpoch,
) -> Progress:
    """Train until the schedule ends; the model then has the weights of its best epoch.

    Args:
        model: compiled, with the metric ``accuracy``.
        epoch_data: epoch (from 0) → shuffled batches, of inputs, targets and maybe weights; the
            same for the same epoch.
        validation: batches to judge by.
        schedule: how long, and how fast.
        seed: of what is random inside an epoch.
        folder: where the state is kept; a call with the same folder goes on where it stands.
        on_epoch: told of each new epoch once it is saved, never twice of the same; should a kill
            fall between the two, the history still has it.

    Raises:
        TrainingDiverged: the loss is no longer a number.
    """
    progress = checkpoint.resume(folder, model, learning_rate=schedule.learning_rate)
    if progress.epochs:
        logger.info("going on after epoch %d", progress.epochs)
    while not schedule.ended(progress):
        began = time.monotonic()
        epoch, rate = progress.epochs, schedule.rate(progress)
        # The same numbers are drawn in an epoch whether or not the process died before it.
        keras.utils.set_random_seed(seed + epoch)
        model.optimizer.learning_rate.assign(rate)
        fitted = model.fit(
            epoch_data(epoch),
            initial_epoch=epoch,
            epochs=epoch + 1,
            validation_data=validation,
            callbacks=[_Lines(epoch + 1, schedule.epochs)],
            shuffle=False,
            verbose=0,
        )
        metrics = {name: float(values[-1]) for name, values in fitted.history.items()}
        metrics["learning_rate"] = rate
        _require_finite(metrics, epoch + 1)
        progress = advance(progress, metrics, schedule, seconds=time.monotonic() - began)
        checkpoint.save(folder, model, progress)
        on_epoch(progress.epochs, metrics)
        _say(progress, schedule)
    checkpoint.load_best(folder, model, progress)
    return progress


def _require_finite(metrics: dict[str, float], epoch: int) -> None:
    for name in ("loss", "val_loss"):
        if not math.isfinite(metrics[name]):
            raise TrainingDiverged(
                f"The training diverged: {name} of epoch {epoch} is {metrics[name]} at learning "
                f"rate {metrics['learning_rate']:g}. Lower the candidate's learning rate."
            )


def _say(progress: Progress, schedule: Schedule) -> None:
    last = progress.history[-1]
    left = (schedule.epochs - progress.epochs) * progress.seconds / progress.epochs
    logger.info(
        "epoch %d of %d: loss %.4f, accuracy %.4f; validation loss %.4f, accuracy %.4f%s; "
        "at most %.0f s to go",
        progress.epochs,
        schedule.epochs,
        last["loss"],
        last["accuracy"],
        last["val_loss"],
        last["val_accuracy"],
        " (best)" if progress.best_epoch == progress.epochs else "",
        left,
    )


class _Lines(keras.callbacks.Callback):  # type: ignore[misc]
    """A line every few seconds, so that a long epoch never looks dead."""

    def __init__(self, epoch: int, epochs: int) -> None:
        super().__init__()
        self._place = f"epoch {epoch} of {epochs}"
        self._said = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if time.monotonic() - self._said > SECONDS_BETWEEN_LINES:
            self._said = time.monotonic()
            loss = (logs or {}).get("loss", float("nan"))
            steps = self.params.get("steps") or "?"
            logger.info("%s: batch %d of %s, loss %.4f", self._place, batch + 1, steps, loss)
