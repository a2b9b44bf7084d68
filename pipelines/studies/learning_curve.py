"""Would more images help? A candidate trained on ever more of the groups, judged on validation.

The parts are nested: each holds the ones before it. Groups are drawn class by class, so that
each part has the classes' shares. All are judged on the same validation images; the test set is
not asked.
"""

import logging
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel

from pipelines.data.shards import Shards, fetch
from pipelines.evaluation import figures
from pipelines.evaluation.intervals import Interval, draws, percentiles
from pipelines.evaluation.predictions import labels_of, probabilities_of
from pipelines.evaluation.record import read_predictions
from pipelines.evaluation.weighted import weighted
from pipelines.models.identity import weights_identity
from pipelines.outputs import Prepared
from pipelines.progress import track
from pipelines.spec import CandidateSpec, DatasetSpec
from pipelines.stage import Context, fingerprint
from pipelines.studies import power_law
from pipelines.studies.judged import Judged, require_network, train_and_judge
from pipelines.studies.pictures import curve_picture
from pipelines.studies.study import KIND, Study, Work, study
from pipelines.studies.subset import Part, described, write_subset
from pipelines.studies.tune import settled
from pipelines.tracking import runs
from pipelines.training.code import training_code

logger = logging.getLogger(__name__)

SHARES = (0.1, 0.25, 0.5, 1.0)
"""Of the groups that there are to train on."""


class Size(BaseModel):
    """The candidate, trained on a part."""

    share: float
    """Of all groups."""
    trained: Judged
    value: float
    """Of the figure, on validation."""
    interval: Interval


class LearningCurve(BaseModel):
    """A figure by the number of training images."""

    run_id: str
    candidate: str
    figure: str
    """The spec's selection metric."""
    sizes: list[Size]
    exponent: float
    """How fast errors fall: with twice the images they are ``2 ** -exponent`` times as many."""
    exponent_interval: Interval
    doubled: int
    """Twice the images that there are."""
    value_if_doubled: Interval
    """The figure then, if the curve goes on as it has."""

    @property
    def said(self) -> str:
        """Whether more images would help."""
        last = self.sizes[-1]
        now = f"{self.figure} is {last.value:.3f} with {last.trained.images:,} images"
        if self.exponent_interval.low <= 0:
            return (
                f"{now}, and the curve cannot be told from a flat one: nothing here says that "
                "more images of the same kind would help."
            )
        low, high = self.value_if_doubled
        return (
            f"{now}, and the curve still rises: with twice as many it would come to between "
            f"{low:.3f} and {high:.3f}, if it goes on as it has. Wrong labels and images that do "
            "not show what is asked end such a rise sooner."
        )


def run(
    spec: DatasetSpec,
    context: Context,
    prepared: Prepared,
    candidate: str,
    *,
    shares: tuple[float, ...] = SHARES,
) -> LearningCurve:
    """Train a candidate on ever more groups; what is trained already is not trained again.

    Raises:
        SpecError: the spec has no such candidate, or it is not a network.
        TrainingError: it cannot be trained on a part.
        TrackingUnavailable: MLflow does not answer.
        StoreUnavailable: the store does not answer.
    """
    require_network(spec.candidate(candidate))
    chosen, tags = settled(spec, context, prepared, spec.candidate(candidate))
    weights = weights_identity(chosen.weights)
    metric, seed = spec.selection.metric, spec.split.seed
    identity = fingerprint(
        "learning curve", prepared.id, chosen, weights, seed, shares, metric, training_code()
    )
    data = fetch(context.store, prepared.path, context.settings.cache)
    return study(
        spec,
        context,
        kind=LearningCurve,
        name=f"{candidate} · learning curve",
        identity=identity,
        params={"shares": shares, **chosen.model_dump()},
        tags=tags
        | {KIND: "learning_curve", "medloop.candidate": candidate}
        | {"medloop.prepared": prepared.path},
        work=lambda place: _curve(place, spec, chosen, data, shares=sorted(shares)),
    )


def nested(rows: pd.DataFrame, shares: list[float], *, seed: int) -> dict[float, NDArray[np.bool_]]:
    """Which images stand in each part.

    Args:
        rows: ``group`` and ``label`` of each training image, in file order.
        shares: of the groups; each class gives that share of its own, and one at least.
        seed: of the drawing.

    Returns:
        Share → (images,) whether it stands in that part, and so in every larger one.
    """
    drawn = np.random.default_rng(seed)
    of_group = rows.groupby("group", sort=True)["label"].agg(lambda labels: labels.mode()[0])
    rank = pd.Series(0.0, index=of_group.index)
    for label in sorted(of_group.unique()):
        members = of_group.index[of_group == label]
        rank[members] = drawn.permutation(len(members)) / len(members)
    # The first of each class has rank 0, so it stands in every part.
    return {share: (rows["group"].map(rank) < share).to_numpy() for share in shares}


def _curve(
    place: Study, spec: DatasetSpec, candidate: CandidateSpec, data: Shards, *, shares: list[float]
) -> LearningCurve:
    parts = nested(described(data, "train"), shares, seed=spec.split.seed)
    trained: dict[float, Judged] = {}
    # The whole first: smaller parts take over the features that were computed for it.
    for share in track(shares[::-1], total=len(shares), what="Parts of the training images"):

        def work(one: Work, chosen: NDArray[np.bool_] = parts[share]) -> Judged:
            part = _part(data, one.folder / "shards", chosen)
            return train_and_judge(
                one, spec, candidate, part, split="validation", seed=spec.split.seed
            )

        trained[share] = place.member(
            f"{share:.0%} of the groups",
            f"share {share}",
            params={"share": share},
            kind=Judged,
            work=work,
        )
    curve = _judge(place, spec, candidate, [(share, trained[share]) for share in shares], data)
    _log(place, curve)
    return curve


def _part(data: Shards, folder: Path, chosen: NDArray[np.bool_]) -> Shards:
    if chosen.all():
        return data
    whole = np.ones(data.split("validation").rows, bool)
    parts = (Part("train", chosen, "train"), Part("validation", whole, "validation"))
    return write_subset(data, folder, parts=parts)


def _judge(
    place: Study,
    spec: DatasetSpec,
    candidate: CandidateSpec,
    trained: list[tuple[float, Judged]],
    data: Shards,
) -> LearningCurve:
    """Put intervals on the figures, from the same resamples of the validation images for all."""
    metric = spec.selection.metric
    drawn = np.stack([_resampled(place, spec, one.run_id, data.classes) for _, one in trained])
    sizes = [
        Size(share=share, trained=one, value=one.figures[metric], interval=percentiles(values))
        for (share, one), values in zip(trained, drawn, strict=True)
    ]
    images = [one.images for _, one in trained]
    law = power_law.fit(images, 1 - drawn)
    doubled = 2 * images[-1]
    return LearningCurve(
        run_id=place.run_id,
        candidate=candidate.name,
        figure=metric,
        sizes=sizes,
        exponent=float(np.median(law.exponent)),
        exponent_interval=percentiles(law.exponent),
        doubled=doubled,
        value_if_doubled=percentiles(1 - law.error_at(doubled)),
    )


def _resampled(
    place: Study, spec: DatasetSpec, run_id: str, classes: tuple[str, ...]
) -> NDArray[np.float64]:
    """(resamples,) the figure of one model."""
    rows = read_predictions(place.tracking, run_id, "validation")
    labels, probabilities = labels_of(rows, classes), probabilities_of(rows, classes)
    values = [
        weighted(labels, probabilities, classes, weights=weights)[spec.selection.metric]
        for weights in draws(rows["group"].tolist(), seed=spec.split.seed)
    ]
    return np.concatenate(values)


def _log(place: Study, curve: LearningCurve) -> None:
    book = runs.MetricBook(place.tracking, place.run_id)
    for size in curve.sizes:
        book.add({f"learning_curve.{curve.figure}": size.value}, step=size.trained.images)
    book.add({"learning_curve.exponent": curve.exponent}, step=0)
    book.flush()
    runs.set_tags(place.tracking, place.run_id, {"mlflow.note.content": note(curve)})
    with tempfile.TemporaryDirectory(prefix="medloop-") as folder:
        figures.save(curve_picture(curve), Path(folder) / "learning_curve.png")
        place.tracking.upload(place.run_id, Path(folder), folder="figures")


def note(curve: LearningCurve) -> str:
    """What was found, in Markdown."""
    lines = [
        curve.said,
        "",
        f"| groups | images | {curve.figure} on validation | 95 % interval | epochs |",
        "|---|---|---|---|---|",
    ]
    for size in curve.sizes:
        low, high = size.interval
        lines.append(
            f"| {size.share:.0%} | {size.trained.images:,} | {size.value:.3f} "
            f"| {low:.3f} to {high:.3f} | {size.trained.epochs} |"
        )
    return "\n".join(lines)
