"""Train one candidate, by its recipe; killed at any moment, the same call goes on."""

import logging
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel

from pipelines.atomic import written_whole
from pipelines.data.input.training_set import TrainingSet
from pipelines.errors import TrainingError
from pipelines.spec import CandidateSpec
from pipelines.stage import fingerprint
from pipelines.training.balance import require_every_class
from pipelines.training.checkpoint import Progress
from pipelines.training.fit import OnEpoch

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)

RESULT = "result.json"
MODEL = "model.keras"
OWNER = "training.id"


class TrainedModel(BaseModel):
    """A finished training."""

    path: Path
    """The Keras model, with the weights of its best epoch."""
    history: list[dict[str, float]]
    """Metrics of each epoch."""
    epochs: int
    best_epoch: int
    """Counted from 1; in fine-tuning, epochs of the frozen phase come first; 0 of an ensemble."""
    seconds: float
    """Spent in epochs, in all processes that worked on it."""
    parameters: int
    trainable_parameters: int


def train(
    candidate: CandidateSpec,
    data: TrainingSet,
    *,
    seed: int,
    workdir: Path,
    on_epoch: OnEpoch,
    others: Sequence[Path] = (),
) -> TrainedModel:
    """Train a candidate; a finished training is not repeated.

    Args:
        candidate: what to train, and how.
        data: the training set.
        seed: of weights, order, dropout and augmentation.
        workdir: this training's own folder; kept between calls, it is where a killed one resumes.
        on_epoch: told of each new epoch.
        others: the Keras models of the candidate's members or teachers, in their order.

    Raises:
        TrainingError: a class has no training image, the training diverges, or ``workdir``
            holds another training.
        SpecError: the candidate names a model that is not in the zoo.
        WeightsError: its pretrained weights cannot be had.
    """
    _claim(workdir, fingerprint(candidate, data.id, seed))
    result = workdir / RESULT
    if result.is_file():
        return TrainedModel.model_validate_json(result.read_text())
    from pipelines.models.average import over_poses

    require_every_class(data.split("train").labels(), data.classes)
    epochs = workdir / "epochs"
    if candidate.recipe == "ensemble":
        model, progress = average_of(others), Progress(learning_rate=candidate.learning_rate)
    else:
        model, progress = _learn(
            candidate, data, seed=seed, folder=epochs, on_epoch=on_epoch, others=others
        )
    model = over_poses(model, candidate.poses)
    with written_whole(workdir / MODEL) as part:
        model.save(part)
    trained = TrainedModel(
        path=workdir / MODEL,
        history=progress.history,
        epochs=progress.epochs,
        best_epoch=progress.best_epoch,
        seconds=progress.seconds,
        parameters=model.count_params(),
        trainable_parameters=sum(int(np.prod(w.shape)) for w in model.trainable_weights),
    )
    with written_whole(result) as part:
        part.write_text(trained.model_dump_json())
    shutil.rmtree(epochs, ignore_errors=True)
    return trained


def _learn(
    candidate: CandidateSpec,
    data: TrainingSet,
    *,
    seed: int,
    folder: Path,
    on_epoch: OnEpoch,
    others: Sequence[Path],
) -> "tuple[keras.Model, Progress]":
    """Build a model of the zoo and train it by the candidate's recipe."""
    from pipelines.training.finetune import finetune
    from pipelines.training.frozen import train_head
    from pipelines.training.scratch import train_from_scratch

    teacher = average_of(others) if candidate.teachers else None
    model = untrained(candidate, data, seed=seed)
    images = data.split("train").rows
    logger.info(
        "%s: %s by recipe %s on %d images", candidate.name, model.name, candidate.recipe, images
    )
    recipes: dict[str, Callable[..., Progress]] = {
        "frozen": train_head,
        "finetune": partial(finetune, teacher=teacher),
        "scratch": partial(train_from_scratch, teacher=teacher),
    }
    progress = recipes[candidate.recipe](
        *(model, data, candidate), seed=seed, folder=folder, on_epoch=on_epoch
    )
    return model, progress


def untrained(candidate: CandidateSpec, data: TrainingSet, *, seed: int) -> "keras.Model":
    """The candidate's network before it has learned from these images; ``seed`` decides its new
    weights."""
    import keras

    from pipelines.models.registry import build

    keras.utils.set_random_seed(seed)
    return build(
        candidate.model,
        size=data.size,
        classes=len(data.classes),
        weights=candidate.weights,
        input_size=candidate.input_size,
        dropout=candidate.dropout,
        options=candidate.options,
    )


def average_of(files: Sequence[Path]) -> "keras.Model":
    """One model that answers with the mean of saved ones."""
    import keras

    from pipelines.models.average import over_models

    models = [keras.saving.load_model(file, compile=False) for file in files]
    return over_models(models) if len(models) > 1 else models[0]


def _claim(workdir: Path, identity: str) -> None:
    """Note whose folder this is, so that no training goes on from the state of another."""
    owner = workdir / OWNER
    if not owner.is_file():
        workdir.mkdir(parents=True, exist_ok=True)
        with written_whole(owner) as part:
            part.write_text(identity)
    if owner.read_text() != identity:
        raise TrainingError(
            f"{workdir} holds another training (other candidate, data or seed); give this one a "
            "folder of its own, or delete that folder."
        )
