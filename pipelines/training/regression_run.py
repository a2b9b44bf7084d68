"""What a fitted regression leaves in its run in MLflow."""

import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np

from pipelines.data.input.training_set import TrainingSet
from pipelines.evaluation.answers import log_answers
from pipelines.evaluation.figures import save
from pipelines.features import texture
from pipelines.spec import CandidateSpec, DatasetSpec
from pipelines.tracking import runs
from pipelines.tracking.client import Tracking
from pipelines.tracking.keras_models import log_model
from pipelines.training.importance import draw, importance
from pipelines.training.logistic import Regression, Trial, answers, as_network

REPORT = "logistic/regression.json"


def log_regression(
    tracking: Tracking,
    run_id: str,
    done: Regression,
    *,
    spec: DatasetSpec,
    chosen: CandidateSpec,
    data: TrainingSet,
) -> None:
    """Log the network it became, or its answers where it is none; and what was tried."""
    assert chosen.logistic is not None
    if chosen.logistic.features == "deep":
        model = as_network(chosen, done.best.linear, size=data.size, classes=len(data.classes))
        image = next(data.split("validation").batches(1)).images.astype(np.float32)
        log_model(tracking, run_id, model, example=image)
    else:
        log_answers(tracking, run_id, answers(done, data.classes))
    if chosen.logistic.features == "texture":
        _log_importance(tracking, run_id, done, spec=spec, chosen=chosen)
    tracking.upload_json(run_id, REPORT, _report(done))
    totals = {
        "training.epochs": done.best.steps,
        "training.seconds": done.seconds,
        "training.parameters": done.best.linear.kernel.size + done.best.linear.bias.size,
        "training.validation_loss": done.best.loss,
    }
    runs.log_metrics(tracking, run_id, totals)
    runs.set_tags(tracking, run_id, {runs.TRAINED: "true"})


def _report(done: Regression) -> dict[str, object]:
    return {"kept": _told(done.best), "tried": [_told(trial) for trial in done.trials]}


def _told(trial: Trial) -> dict[str, float]:
    return asdict(trial.penalty) | {"steps": trial.steps, "validation_loss": trial.loss}


def _log_importance(
    tracking: Tracking,
    run_id: str,
    done: Regression,
    *,
    spec: DatasetSpec,
    chosen: CandidateSpec,
) -> None:
    judge = done.described.of("validation")
    found = importance(
        done.best.linear,
        names=texture.NAMES,
        train=done.described.of("train").values,
        values=judge.values,
        labels=judge.labels,
        seed=spec.split.seed,
    )
    with tempfile.TemporaryDirectory(prefix="medloop-") as folder:
        figure = draw(found, spec.class_names, title=f"{spec.title}: {chosen.name}")
        save(figure, Path(folder) / "feature_importance.png")
        tracking.upload(run_id, Path(folder), folder="figures")
