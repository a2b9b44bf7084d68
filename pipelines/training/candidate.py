"""The training stage: one candidate, trained as one run in MLflow.

A run is found by the fingerprint of the training set, the candidate's part of the spec and the
code. A finished one is not trained again; one that was cut off is taken up: the same run in
MLflow, the same folder of checkpoints on this machine.
"""

import logging
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.data.input.training_set import TrainingSet
from pipelines.errors import CandidateSkipped
from pipelines.features.extract import training_set
from pipelines.locks import alone
from pipelines.models.identity import weights_identity
from pipelines.outputs import Prepared, Trained
from pipelines.spec import CandidateSpec, DatasetSpec
from pipelines.stage import Context, fingerprint
from pipelines.tracking import environment, runs
from pipelines.tracking.client import Tracking, open_tracking
from pipelines.tracking.inputs import log_inputs
from pipelines.tracking.keras_models import fetch_model, log_model
from pipelines.training.code import training_code
from pipelines.training.device import use_device
from pipelines.training.without_weights import trainable_here

if TYPE_CHECKING:
    from mlflow.entities import Run

    from pipelines.training.train import TrainedModel

logger = logging.getLogger(__name__)


def run(spec: DatasetSpec, context: Context, prepared: Prepared, candidate: str) -> Trained:
    """Train one candidate; a finished one is not trained again, a killed one resumes.

    Raises:
        SpecError: the spec has no such candidate, or it names a model that is not in the zoo.
        TrainingError: it cannot be trained on these images.
        CandidateSkipped: its pretrained weights cannot be had, and the spec says to go on.
        WeightsError: they cannot be had, or are not what they should be.
        TrackingUnavailable: MLflow does not answer.
        StoreUnavailable: the store does not answer.
    """
    chosen = _trainable_here(spec, context, prepared, spec.candidate(candidate))
    # A candidate that another process trains at this moment is waited for.
    others = [run(spec, context, prepared, name) for name in chosen.others]
    weights = weights_identity(chosen.weights)
    inputs = [prepared.id, chosen, weights, *(other.id for other in others)]
    identity = fingerprint(*inputs, spec.split.seed, training_code(chosen))
    tracking = open_tracking(context.settings)
    experiment = tracking.experiment(spec.name, title=spec.title)
    workdir = context.settings.work / "training" / identity
    with alone(workdir):
        found = runs.find(tracking, experiment, fingerprint=identity)
        if found is None or runs.TRAINED not in found.data.tags:
            files = [
                fetch_model(tracking, other.run_id, cache=context.settings.cache)
                for other in others
            ]
            _train(
                *(spec, context, prepared, chosen),
                identity=identity,
                workdir=workdir,
                others=files,
            )
            found = runs.find(tracking, experiment, fingerprint=identity)
            assert found is not None
        else:
            logger.info("%s: %s is trained already", spec.name, candidate)
        shutil.rmtree(workdir, ignore_errors=True)
    return _trained(found, prepared.dataset, identity=identity, candidate=candidate)


def _trainable_here(
    spec: DatasetSpec, context: Context, prepared: Prepared, wanted: CandidateSpec
) -> CandidateSpec:
    """The candidate as this machine can train it; one that is left out leaves a run that says
    why."""
    try:
        return trainable_here(wanted)
    except CandidateSkipped as skipped:
        logger.warning("%s: %s", spec.name, skipped)
        tracking = open_tracking(context.settings)
        told = {runs.SKIPPED: str(skipped), "mlflow.note.content": str(skipped)}
        with runs.open_run(
            tracking,
            tracking.experiment(spec.name, title=spec.title),
            fingerprint=fingerprint(prepared.id, wanted, runs.SKIPPED),
            name=f"{wanted.name} · left out",
            tags=_tags(prepared, wanted.name) | told,
        ):
            pass
        raise


def _train(
    spec: DatasetSpec,
    context: Context,
    prepared: Prepared,
    chosen: CandidateSpec,
    *,
    identity: str,
    workdir: Path,
    others: list[Path],
) -> None:
    from pipelines.studies.tune import settled

    chosen, searched = settled(spec, context, prepared, chosen)
    tracking = open_tracking(context.settings)
    snapshot = prepared.snapshot.rpartition("/")[2]
    with runs.open_run(
        tracking,
        tracking.experiment(spec.name, title=spec.title),
        fingerprint=identity,
        name=f"{chosen.name} · snap {snapshot[:9]}",
        tags=_tags(prepared, chosen.name) | searched,
    ) as run_id:
        runs.log_params(tracking, run_id, _params(spec, prepared, chosen))
        log_inputs(tracking, run_id, prepared, store=context.store.root)
        _log_environment(tracking, run_id)
        data = training_set(context, prepared)
        if chosen.logistic is not None:
            _fit_regression(spec, context, prepared, chosen, data=data, run_id=run_id)
        else:
            _train_network(
                *(spec, tracking, chosen),
                data=data,
                run_id=run_id,
                workdir=workdir,
                others=others,
            )


def _fit_regression(
    spec: DatasetSpec,
    context: Context,
    prepared: Prepared,
    chosen: CandidateSpec,
    *,
    data: TrainingSet,
    run_id: str,
) -> None:
    from pipelines.training import logistic
    from pipelines.training.regression_run import log_regression

    done = logistic.train(spec, context, prepared, chosen)
    tracking = open_tracking(context.settings)
    log_regression(tracking, run_id, done, spec=spec, chosen=chosen, data=data)


def _train_network(
    spec: DatasetSpec,
    tracking: Tracking,
    chosen: CandidateSpec,
    *,
    data: TrainingSet,
    run_id: str,
    workdir: Path,
    others: list[Path],
) -> None:
    from pipelines.training.train import train

    runs.set_tags(tracking, run_id, {runs.DEVICE: use_device()})
    book = runs.MetricBook(tracking, run_id)
    done = train(
        chosen,
        data,
        seed=spec.split.seed,
        workdir=workdir,
        on_epoch=lambda epoch, metrics: book.add(_by_epoch(metrics), step=epoch),
        others=others,
    )
    book.flush()
    book.catch_up([_by_epoch(metrics) for metrics in done.history])
    _log_result(tracking, run_id, done, data=data, title=f"{spec.title}: {chosen.name}")


def _log_result(
    tracking: Tracking, run_id: str, done: "TrainedModel", *, data: TrainingSet, title: str
) -> None:
    """Log the model and what training came to; the tag that says so comes last."""
    import keras

    from pipelines.evaluation.figures import learning_curves, save

    model = keras.saving.load_model(done.path, compile=False)
    log_model(tracking, run_id, model, example=_example(data))
    if done.history:
        with tempfile.TemporaryDirectory(prefix="medloop-") as folder:
            figure = learning_curves(done.history, best=done.best_epoch, title=title)
            save(figure, Path(folder) / "learning_curves.png")
            tracking.upload(run_id, Path(folder), folder="figures")
    totals = {
        "training.epochs": done.epochs,
        "training.best_epoch": done.best_epoch,
        "training.seconds": done.seconds,
        "training.parameters": done.parameters,
        "training.trainable_parameters": done.trainable_parameters,
    }
    runs.log_metrics(tracking, run_id, totals)
    runs.set_tags(tracking, run_id, {runs.TRAINED: "true"})


def _by_epoch(metrics: dict[str, float]) -> dict[str, float]:
    return {f"epoch.{name}": value for name, value in metrics.items()}


def _example(data: TrainingSet) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    """A grey image as a batch: MLflow keeps the example with the model, so it shows nobody."""
    return np.full((1, data.size, data.size, 3), 127, np.float32)


def _params(spec: DatasetSpec, prepared: Prepared, chosen: CandidateSpec) -> dict[str, object]:
    return {
        **chosen.model_dump(),
        "seed": spec.split.seed,
        "image": spec.image.model_dump(),
        "classes": ", ".join(spec.class_names),
        "images": prepared.rows,
    }


def _tags(prepared: Prepared, candidate: str) -> dict[str, str]:
    return {
        "medloop.candidate": candidate,
        "medloop.snapshot": prepared.snapshot,
        "medloop.split": prepared.split,
        "medloop.prepared": prepared.path,
    }


def _log_environment(tracking: Tracking, run_id: str) -> None:
    described = environment.describe()
    tracking.upload_json(run_id, "environment.json", described)
    runs.set_tags(tracking, run_id, {"medloop.git_commit": described["git_commit"]})


def _trained(found: "Run", dataset: str, *, identity: str, candidate: str) -> Trained:
    return Trained(
        dataset=dataset,
        id=identity,
        candidate=candidate,
        run_id=found.info.run_id,
        epochs=int(found.data.metrics["training.epochs"]),
        seconds=found.data.metrics["training.seconds"],
    )
