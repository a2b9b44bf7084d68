"""Train a compiled model epoch by epoch: early stopping, a plateau schedule, checkpoints.

Keras' own callbacks forget their state when a process dies. Here the schedule is a few plain
numbers (`checkpoint.Progress`), saved with the weights after every epoch.
"""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from pipelines.errors import TrainingError
from pipelines.training import checkpoint
from pipelines.training.checkpoint import Progress

if TYPE_CHECKING:
    import tensorflow as tf

logger = logging.getLogger(__name__)

OnEpoch = Callable[[int, dict[str, float]], None]
"""Told the epoch, counted from 1, and its metrics."""

SLOWER = 0.3
"""What the learning rate is multiplied by on a plateau."""
LEAST_RATE = 1e-6
SECONDS_BETWEEN_LINES = 10.0


@dataclass(frozen=True)
class Schedule:
    """How long to train, and when to slow down."""

    epochs: int
    learning_rate: float
    patience: int
    """Epochs without a better validation loss after which training stops; the learning rate
    falls after half as many."""


def fit(
    model: keras.Model,
    epoch_data: Callable[[int], "tf.data.Dataset"],
    validation: "tf.data.Dataset",
    *,
    schedule: Schedule,
    seed: int,
    folder: Path,
    class_weight: dict[int, float] | None,
    on_epoch: OnEpoch,
) -> Progress:
    """Train until the schedule ends; the model then has the weights of its best epoch.

    Args:
        model: compiled, with the metric ``accuracy``.
        epoch_data: epoch (from 0) → shuffled batches; the same for the same epoch.
        validation: batches to judge by.
        schedule: how long, and how fast.
        seed: of what is random inside an epoch.
        folder: where the state is kept; a call with the same folder goes on where it stands.
        class_weight: class index → weight of its loss.
        on_epoch: told of each new epoch once it is saved, never twice of the same; should a kill
            fall between the two, the history still has it.

    Raises:
        TrainingError: the loss is no longer a number.
    """
    progress = checkpoint.resume(folder, model, learning_rate=schedule.learning_rate)
    if progress.epochs:
        logger.info("going on after epoch %d", progress.epochs)
    while progress.epochs < schedule.epochs and progress.since_best < schedule.patience:
        began = time.monotonic()
        epoch = progress.epochs
        # The same numbers are drawn in an epoch whether or not the process died before it.
        keras.utils.set_random_seed(seed + epoch)
        model.optimizer.learning_rate.assign(progress.learning_rate)
        fitted = model.fit(
            epoch_data(epoch),
            initial_epoch=epoch,
            epochs=epoch + 1,
            validation_data=validation,
            class_weight=class_weight,
            callbacks=[_Lines(epoch + 1, schedule.epochs)],
            shuffle=False,
            verbose=0,
        )
        metrics = {name: float(values[-1]) for name, values in fitted.history.items()}
        metrics["learning_rate"] = progress.learning_rate
        _require_finite(metrics, epoch + 1)
        progress = advance(progress, metrics, schedule, seconds=time.monotonic() - began)
        checkpoint.save(folder, model, progress)
        on_epoch(progress.epochs, metrics)
        _say(progress, schedule)
    checkpoint.load_best(folder, model, progress)
    return progress


def advance(
    progress: Progress, metrics: dict[str, float], schedule: Schedule, *, seconds: float
) -> Progress:
    """The state after one more epoch: what is best, how long ago, and the next learning rate."""
    epoch, loss = progress.epochs + 1, metrics["val_loss"]
    better = loss < progress.best_loss
    since_slower = 0 if better else progress.since_slower + 1
    slower = since_slower >= max(2, schedule.patience // 2)
    rate = max(progress.learning_rate * SLOWER, LEAST_RATE) if slower else progress.learning_rate
    return Progress(
        epochs=epoch,
        history=[*progress.history, metrics],
        best_epoch=epoch if better else progress.best_epoch,
        best_loss=loss if better else progress.best_loss,
        since_best=0 if better else progress.since_best + 1,
        since_slower=0 if slower else since_slower,
        learning_rate=rate,
        seconds=progress.seconds + seconds,
    )


def _require_finite(metrics: dict[str, float], epoch: int) -> None:
    for name in ("loss", "val_loss"):
        if not math.isfinite(metrics[name]):
            raise TrainingError(
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
