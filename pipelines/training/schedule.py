"""How long to train and how fast: a pure function of the epochs so far."""

import math
from dataclasses import dataclass

from pipelines.spec import CandidateSpec
from pipelines.training.checkpoint import Progress

SLOWER = 0.3
"""What the learning rate is multiplied by on a plateau."""
LEAST_RATE = 1e-6


@dataclass(frozen=True)
class Schedule:
    """How long to train, and when to slow down."""

    epochs: int
    learning_rate: float
    patience: int
    """Epochs without a better validation loss after which training stops."""
    plateau_patience: int | None
    """Epochs without one after which the learning rate falls; ``None``: it follows half a
    cosine."""
    plateau_factor: float = SLOWER
    warmup: int = 0
    """First epochs, in which the learning rate rises by equal steps."""

    def rate(self, progress: Progress) -> float:
        """The learning rate of the next epoch."""
        epoch = progress.epochs
        if epoch < self.warmup:
            return progress.learning_rate * (epoch + 1) / (self.warmup + 1)
        if self.plateau_patience is not None:
            return progress.learning_rate
        passed = (epoch - self.warmup) / (self.epochs - self.warmup)
        return max(progress.learning_rate * (1 + math.cos(math.pi * passed)) / 2, LEAST_RATE)

    def ended(self, progress: Progress) -> bool:
        """Whether there is nothing more to train."""
        return progress.epochs >= self.epochs or progress.since_best >= self.patience


def schedule_of(candidate: CandidateSpec, *, epochs: int, learning_rate: float) -> Schedule:
    """A candidate's schedule for one phase of its training."""
    patience = candidate.plateau_patience or max(2, candidate.patience // 2)
    return Schedule(
        epochs=epochs,
        learning_rate=learning_rate,
        patience=candidate.patience,
        plateau_patience=patience if candidate.schedule == "plateau" else None,
        plateau_factor=candidate.plateau_factor or SLOWER,
        warmup=candidate.warmup_epochs,
    )


def advance(
    progress: Progress, metrics: dict[str, float], schedule: Schedule, *, seconds: float
) -> Progress:
    """The state after one more epoch: what is best, how long ago, and the rate to go on with."""
    epoch, loss = progress.epochs + 1, metrics["val_loss"]
    better = loss < progress.best_loss
    since_slower = 0 if better else progress.since_slower + 1
    slower = schedule.plateau_patience is not None and since_slower >= schedule.plateau_patience
    slowed = max(progress.learning_rate * schedule.plateau_factor, LEAST_RATE)
    return Progress(
        epochs=epoch,
        history=[*progress.history, metrics],
        best_epoch=epoch if better else progress.best_epoch,
        best_loss=loss if better else progress.best_loss,
        since_best=0 if better else progress.since_best + 1,
        since_slower=0 if slower else since_slower,
        learning_rate=slowed if slower else progress.learning_rate,
        seconds=progress.seconds + seconds,
    )
