"""One training on some of the images, and what its model says about those held out."""

import tempfile
from pathlib import Path

import pandas as pd
from pydantic import BaseModel

from pipelines.data.input.training_set import TrainingSet
from pipelines.errors import SpecError
from pipelines.evaluation.metrics import measure
from pipelines.evaluation.network import Network
from pipelines.evaluation.predictions import (
    decisions_of,
    labels_of,
    predict,
    with_decisions,
    with_probabilities,
)
from pipelines.evaluation.record import FOLDER, PREDICTIONS
from pipelines.outputs import SplitName
from pipelines.spec import CandidateSpec, DatasetSpec
from pipelines.studies.study import Work
from pipelines.tracking import runs


class Judged(BaseModel):
    """A training that is done."""

    run_id: str
    """Its answers are kept there; see `pipelines.evaluation.record.read_predictions`."""
    images: int
    """It was trained on."""
    held_out: int
    """It was judged on."""
    epochs: int
    best_epoch: int
    seconds: float
    figures: dict[str, float]
    """Named as by `pipelines.evaluation.metrics.measure`, with the likeliest class decided for
    (argmax): no images are left to choose thresholds on."""


def train_and_judge(
    place: Work,
    spec: DatasetSpec,
    candidate: CandidateSpec,
    data: TrainingSet,
    *,
    split: SplitName,
    seed: int,
) -> Judged:
    """Train a candidate, and judge it on one split of its training set.

    Args:
        place: the training's run; what a killed process left in its folder is gone on with.
        spec: of the data set.
        candidate: what to train.
        data: the training set.
        split: held out, to judge by; no image of the data set's test split stands in it.
        seed: of the training.
    """
    from pipelines.training.train import train

    book = runs.MetricBook(place.tracking, place.run_id)
    done = train(
        candidate,
        data,
        seed=seed,
        workdir=place.folder / "training",
        on_epoch=lambda epoch, metrics: book.add(_by_epoch(metrics), step=epoch),
    )
    book.flush()
    book.catch_up([_by_epoch(metrics) for metrics in done.history])
    rows = predict(Network.load(done.path), data, (split,))
    rows = with_probabilities(rows, data.classes, temperature=1.0)
    rows = with_decisions(rows, data.classes, None)
    _keep(place, rows)
    judged = Judged(
        run_id=place.run_id,
        images=data.split("train").rows,
        held_out=len(rows),
        epochs=done.epochs,
        best_epoch=done.best_epoch,
        seconds=done.seconds,
        figures=_figures(spec, rows, data.classes),
    )
    place.log({f"held_out.{name}": value for name, value in judged.figures.items()})
    return judged


def require_network(candidate: CandidateSpec) -> None:
    """Refuse a candidate that is not one network, trained on images and their labels alone.

    Raises:
        SpecError: it is a regression, or needs other candidates.
    """
    if candidate.recipe == "logistic" or candidate.others:
        raise SpecError(
            f"Candidate {candidate.name!r} is made of {_made_of(candidate)}; only networks that "
            "learn from images and their labels are trained anew on parts of them."
        )


def _made_of(candidate: CandidateSpec) -> str:
    if candidate.recipe == "logistic":
        return "features of all images"
    return f"other candidates ({', '.join(candidate.others)})"


def _keep(place: Work, rows: pd.DataFrame) -> None:
    with tempfile.TemporaryDirectory(prefix="medloop-") as folder:
        rows.to_parquet(Path(folder) / Path(PREDICTIONS).name, index=False)
        place.tracking.upload(place.run_id, Path(folder), folder=FOLDER)


def _figures(spec: DatasetSpec, rows: pd.DataFrame, classes: tuple[str, ...]) -> dict[str, float]:
    answers = decisions_of(rows, classes, None)
    return measure(labels_of(rows, classes), answers, findings=spec.findings)


def _by_epoch(metrics: dict[str, float]) -> dict[str, float]:
    return {f"epoch.{name}": value for name, value in metrics.items()}
