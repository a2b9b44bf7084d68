"""Train one candidate, by its recipe; killed at any moment, the same call goes on."""

import logging
import shutil
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from pipelines.data.shards import Shards
from pipelines.errors import TrainingError
from pipelines.spec import CandidateSpec
from pipelines.stage import fingerprint
from pipelines.training.balance import require_every_class
from pipelines.training.fit import OnEpoch

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
    """Counted from 1; in fine-tuning, epochs of the frozen phase come first."""
    seconds: float
    """Spent in epochs, in all processes that worked on it."""
    parameters: int
    trainable_parameters: int


def train(
    candidate: CandidateSpec,
    data: Shards,
    *,
    seed: int,
    workdir: Path,
    on_epoch: OnEpoch,
) -> TrainedModel:
    """Train a candidate; a finished training is not repeated.

    Args:
        candidate: what to train, and how.
        data: local shards.
        seed: of weights, order, dropout and augmentation.
        workdir: this training's own folder; kept between calls, it is where a killed one resumes.
        on_epoch: told of each new epoch.

    Raises:
        TrainingError: a class has no training image, the training diverges, or ``workdir``
            holds another training.
        SpecError: the candidate names a model that is not in the zoo.
        WeightsError: its pretrained weights cannot be had.
    """
    _claim(workdir, fingerprint(candidate, data.manifest, seed))
    result = workdir / RESULT
    if result.is_file():
        return TrainedModel.model_validate_json(result.read_text())
    import keras

    from pipelines.models.registry import build
    from pipelines.training.finetune import finetune
    from pipelines.training.frozen import train_head
    from pipelines.training.scratch import train_from_scratch

    labels = data.split("train").labels()
    require_every_class(labels, data.classes)
    keras.utils.set_random_seed(seed)
    model = build(
        candidate.model,
        size=data.size,
        classes=len(data.classes),
        weights=candidate.weights,
        input_size=candidate.input_size,
        dropout=candidate.dropout,
        options=candidate.options,
    )
    logger.info(
        "%s: %s by recipe %s on %d images",
        candidate.name,
        model.name,
        candidate.recipe,
        len(labels),
    )
    recipe = {"frozen": train_head, "finetune": finetune, "scratch": train_from_scratch}
    epochs = workdir / "epochs"
    progress = recipe[candidate.recipe](
        model,
        data,
        candidate,
        seed=seed,
        folder=epochs,
        on_epoch=on_epoch,
    )
    part = workdir / f"part-{MODEL}"
    model.save(part)
    part.replace(workdir / MODEL)
    trained = TrainedModel(
        path=workdir / MODEL,
        history=progress.history,
        epochs=progress.epochs,
        best_epoch=progress.best_epoch,
        seconds=progress.seconds,
        parameters=model.count_params(),
        trainable_parameters=sum(int(np.prod(w.shape)) for w in model.trainable_weights),
    )
    part = workdir / f"part-{RESULT}"
    part.write_text(trained.model_dump_json())
    part.replace(result)
    shutil.rmtree(epochs)
    return trained


def _claim(workdir: Path, identity: str) -> None:
    """Note whose folder this is, so that no training goes on from the state of another."""
    owner = workdir / OWNER
    if not owner.is_file():
        workdir.mkdir(parents=True, exist_ok=True)
        part = workdir / f"part-{OWNER}"
        part.write_text(identity)
        part.replace(owner)
    if owner.read_text() != identity:
        raise TrainingError(
            f"{workdir} holds another training (other candidate, data or seed); give this one a "
            "folder of its own, or delete that folder."
        )
