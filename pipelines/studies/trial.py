"""One trial of a search: a candidate with certain settings, trained once or a few times."""

import logging
import shutil
import time
from collections.abc import Callable
from typing import Literal

import numpy as np
from pydantic import BaseModel

from pipelines.data.input.training_set import TrainingSet
from pipelines.errors import TrainingDiverged
from pipelines.spec import CandidateSpec
from pipelines.spec.tuning import Setting
from pipelines.studies.study import Work
from pipelines.tracking import runs

logger = logging.getLogger(__name__)

SEEDS_APART = 1_000
"""Between executions; the seed of an epoch is that of the training and the epoch's number."""

Enough = Callable[[int, float], bool]
"""Told an epoch, from 1, and its validation loss: whether the trial is to be stopped."""
State = Literal["complete", "pruned", "diverged"]


class Execution(BaseModel):
    """One training: what its model came to on validation, epoch by epoch."""

    losses: list[float] = []
    accuracies: list[float] = []


class Trial(BaseModel):
    """A set of settings, and how well a model did with it."""

    number: int
    run_id: str
    settings: dict[str, Setting]
    state: State
    executions: list[Execution]
    seconds: float

    @property
    def loss(self) -> float | None:
        """The least validation loss; the mean of the executions."""
        best = [min(execution.losses) for execution in self.executions if execution.losses]
        return float(np.mean(best)) if best else None

    @property
    def accuracy(self) -> float | None:
        """On validation, in the epoch of the least loss; the mean of the executions."""
        best = [e.accuracies[int(np.argmin(e.losses))] for e in self.executions if e.losses]
        return float(np.mean(best)) if best else None


class Stopped(Exception):
    """A trial is not worth more epochs."""


def execute(
    place: Work,
    candidate: CandidateSpec,
    data: TrainingSet,
    *,
    number: int,
    settings: dict[str, Setting],
    seed: int,
    enough: Enough,
) -> Trial:
    """Train a candidate with settings, as often as its spec says.

    Args:
        place: the trial's run; what a killed process left in its folder is thrown away.
        candidate: with its block ``tune``.
        data: the training set.
        number: of the trial.
        settings: what it tries.
        seed: of the first execution.
        enough: asked after each epoch of the first execution; later ones run to their end.
    """
    assert candidate.tune is not None
    shutil.rmtree(place.folder, ignore_errors=True)
    began = time.monotonic()
    tried = candidate.shortened(candidate.tune.max_epochs).with_settings(settings)
    executions: list[Execution] = []
    state: State = "complete"
    while state == "complete" and len(executions) < candidate.tune.executions:
        nth = len(executions)
        executions.append(Execution())
        asked = enough if nth == 0 else _never
        state = _train(place, tried, data, executions[-1], nth=nth, seed=seed, enough=asked)
        shutil.rmtree(place.folder, ignore_errors=True)
    trial = Trial(
        number=number,
        run_id=place.run_id,
        settings=settings,
        state=state,
        executions=executions,
        seconds=time.monotonic() - began,
    )
    _log(place, trial)
    return trial


def _train(
    place: Work,
    candidate: CandidateSpec,
    data: TrainingSet,
    execution: Execution,
    *,
    nth: int,
    seed: int,
    enough: Enough,
) -> State:
    """Train once, and note every epoch in ``execution``; how it ended."""
    from pipelines.training.train import train

    book = runs.MetricBook(place.tracking, place.run_id)
    named = "epoch" if nth == 0 else f"epoch.execution{nth + 1}"

    def on_epoch(epoch: int, metrics: dict[str, float]) -> None:
        execution.losses.append(metrics["val_loss"])
        execution.accuracies.append(metrics["val_accuracy"])
        book.add({f"{named}.{name}": value for name, value in metrics.items()}, step=epoch)
        if enough(epoch, metrics["val_loss"]):
            raise Stopped

    try:
        train(
            candidate,
            data,
            seed=seed + SEEDS_APART * nth,
            workdir=place.folder,
            on_epoch=on_epoch,
        )
    except Stopped:
        return "pruned"
    except TrainingDiverged as error:
        logger.warning("%s", error)
        return "diverged"
    finally:
        book.flush()
    return "complete"


def _log(place: Work, trial: Trial) -> None:
    found = {"tune.seconds": trial.seconds}
    if trial.loss is not None and trial.accuracy is not None:
        found |= {"tune.loss": trial.loss, "tune.accuracy": trial.accuracy}
    place.log(found)
    runs.set_tags(place.tracking, place.run_id, {"medloop.trial": trial.state})


def _never(_epoch: int, _loss: float) -> bool:
    return False
