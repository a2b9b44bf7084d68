"""Would more images help? A candidate trained on ever more of the groups, judged on validation.

The parts are nested: each holds the ones before it. Groups are drawn class by class, so that
each part has the classes' shares. All are judged on the same validation images; the test set is
not asked. Every size is trained several times, on other parts and from other weights: one
training alone differs from the next by more than a curve often rises (`power_law`).
"""

import logging
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel

from pipelines.data.input.training_set import Part, TrainingSet
from pipelines.evaluation import figures
from pipelines.evaluation.intervals import Interval, draws
from pipelines.evaluation.predictions import decisions_of, labels_of
from pipelines.evaluation.record import read_predictions
from pipelines.evaluation.weighted import weighted
from pipelines.features.extract import training_set
from pipelines.models.identity import weights_identity
from pipelines.outputs import Prepared
from pipelines.progress import track
from pipelines.spec import CandidateSpec, DatasetSpec
from pipelines.stage import Context, fingerprint
from pipelines.studies import power_law
from pipelines.studies.judged import Judged, require_network, train_and_judge
from pipelines.studies.pictures import curve_picture
from pipelines.studies.power_law import LEAST_REPEATS, Estimate
from pipelines.studies.study import KIND, Study, Work, study
from pipelines.studies.tune import settled
from pipelines.tracking import runs
from pipelines.training.code import training_code

logger = logging.getLogger(__name__)

SHARES = (0.1, 0.25, 0.5, 1.0)
"""Of the groups that there are to train on."""
REPEATS = 5
SEEDS_APART = 1_000
"""Between repeats; the seed of an epoch is that of the training and the epoch's number."""


class Size(BaseModel):
    """The candidate, trained on parts of one size."""

    share: float
    """Of all groups."""
    trained: list[Judged]
    """One for each repeat."""
    images: int
    """Trained on, in the mean of the repeats."""
    value: float
    """Of the figure, on validation; the mean of the repeats."""
    interval: Interval | None
    """95 %, of that mean over trainings and validation images; ``None`` for too few repeats."""


class LearningCurve(BaseModel):
    """A figure by the number of training images."""

    run_id: str
    candidate: str
    figure: str
    """The spec's selection metric."""
    repeats: int
    """Trainings of each size."""
    sizes: list[Size]
    exponent: float | None
    """How fast errors fall: with twice the images they are ``2 ** -exponent`` times as many.
    ``None``, as what follows, for too few repeats."""
    exponent_interval: Interval | None
    doubled: int
    """Twice the images that there are."""
    value_if_doubled: Interval | None
    """The figure then, if the curve goes on as it has."""

    @property
    def said(self) -> str:
        """Whether more images would help."""
        last = self.sizes[-1]
        now = f"{self.figure} is {last.value:.3f} with {last.images:,} images"
        if self.exponent_interval is None or self.value_if_doubled is None:
            return (
                f"{now}. Each size was trained {self.repeats} times; {LEAST_REPEATS} are needed "
                "to tell a rise from the chance of single trainings."
            )
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
    repeats: int = REPEATS,
) -> LearningCurve:
    """Train a candidate on ever more groups; what is trained already is not trained again.

    Args:
        spec: of the data set.
        context: settings and store.
        prepared: its images.
        candidate: its name.
        shares: of the groups, to train on.
        repeats: trainings of each size; with fewer than `LEAST_REPEATS` nothing is said about a
            rise.

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
        *("learning curve", prepared.id, chosen, weights, seed, shares, repeats, metric),
        training_code(chosen),
    )
    data = training_set(context, prepared)
    return study(
        spec,
        context,
        kind=LearningCurve,
        name=f"{candidate} · learning curve",
        identity=identity,
        params={"shares": shares, "repeats": repeats, **chosen.model_dump()},
        tags=tags
        | {KIND: "learning_curve", "medloop.candidate": candidate}
        | {"medloop.prepared": prepared.path},
        work=lambda place: _curve(
            place, spec, chosen, data, shares=sorted(shares), repeats=repeats
        ),
    )


def nested(rows: pd.DataFrame, shares: list[float], *, seed: int) -> dict[float, NDArray[np.bool_]]:
    """Which images stand in each part.

    Args:
        rows: ``group`` and ``label`` of each training image, in order.
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
    place: Study,
    spec: DatasetSpec,
    candidate: CandidateSpec,
    data: TrainingSet,
    *,
    shares: list[float],
    repeats: int,
) -> LearningCurve:
    rows = data.described("train")
    trained: dict[float, list[Judged]] = {share: [] for share in shares}
    plan = [(repeat, share) for repeat in range(repeats) for share in shares]
    for repeat, share in track(plan, total=len(plan), what="Parts of the training images"):
        seed = spec.split.seed + SEEDS_APART * repeat
        parts = nested(rows, shares, seed=seed)

        def work(one: Work, chosen: NDArray[np.bool_] = parts[share], seed: int = seed) -> Judged:
            part = _part(data, chosen)
            return train_and_judge(one, spec, candidate, part, split="validation", seed=seed)

        trained[share].append(
            place.member(
                f"{share:.0%} of the groups, training {repeat + 1}",
                f"share {share}, repeat {repeat}",
                params={"share": share, "repeat": repeat + 1},
                kind=Judged,
                work=work,
            )
        )
    curve = _judge(place, spec, candidate, trained, data)
    _log(place, curve)
    return curve


def _part(data: TrainingSet, chosen: NDArray[np.bool_]) -> TrainingSet:
    if chosen.all():
        return data
    whole = np.ones(data.split("validation").rows, bool)
    return data.subset([Part("train", chosen, "train"), Part("validation", whole, "validation")])


def _judge(
    place: Study,
    spec: DatasetSpec,
    candidate: CandidateSpec,
    trained: dict[float, list[Judged]],
    data: TrainingSet,
) -> LearningCurve:
    """Put intervals on the figures, from the same resamples of the validation images for all."""
    metric = spec.selection.metric
    values = np.array([[one.figures[metric] for one in of] for of in trained.values()])
    images = [float(np.mean([one.images for one in of])) for of in trained.values()]
    doubled = round(2 * images[-1])
    law = None
    if values.shape[1] >= LEAST_REPEATS:
        resampled = np.array(
            [
                [_resampled(place, spec, one.run_id, data.classes) for one in of]
                for of in trained.values()
            ]
        )
        least = 0.5 / data.split("validation").rows
        law = power_law.fit(images, 1 - values, 1 - resampled, least=least)
    exponent = law.exponent if law else None
    return LearningCurve(
        run_id=place.run_id,
        candidate=candidate.name,
        figure=metric,
        repeats=values.shape[1],
        sizes=[
            Size(
                share=share,
                trained=of,
                images=round(images[size]),
                value=float(values[size].mean()),
                interval=_figure(law.error_of(size), values[size]) if law else None,
            )
            for size, (share, of) in enumerate(trained.items())
        ],
        exponent=exponent.value if exponent else None,
        exponent_interval=Interval(exponent.low, exponent.high) if exponent else None,
        doubled=doubled,
        value_if_doubled=_figure(law.error_at(doubled)) if law else None,
    )


def _figure(error: Estimate, values: NDArray[np.float64] | None = None) -> Interval:
    """The interval of a figure from that of its error; the mean of ``values`` is inside, which
    the logarithm's mean need not be."""
    low, high = max(0.0, 1 - error.high), 1 - error.low
    if values is None:
        return Interval(low, high)
    return Interval(min(low, float(values.mean())), max(high, float(values.mean())))


def _resampled(
    place: Study, spec: DatasetSpec, run_id: str, classes: tuple[str, ...]
) -> NDArray[np.float64]:
    """(resamples,) the figure of one model."""
    rows = read_predictions(place.tracking, run_id, "validation")
    labels, answers = labels_of(rows, classes), decisions_of(rows, classes, None)
    values = [
        weighted(labels, answers, weights=weights)[spec.selection.metric]
        for weights in draws(rows["group"].tolist(), seed=spec.split.seed)
    ]
    return np.concatenate(values)


def _log(place: Study, curve: LearningCurve) -> None:
    book = runs.MetricBook(place.tracking, place.run_id)
    for size in curve.sizes:
        book.add({f"learning_curve.{curve.figure}": size.value}, step=size.images)
    if curve.exponent is not None:
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
        f"| groups | images | {curve.figure} on validation | 95 % interval | trainings |",
        "|---|---|---|---|---|",
    ]
    for size in curve.sizes:
        single = ", ".join(f"{one.figures[curve.figure]:.3f}" for one in size.trained)
        lines.append(
            f"| {size.share:.0%} | {size.images:,} | {size.value:.3f} "
            f"| {between(size.interval)} | {single} |"
        )
    return "\n".join(lines)


def between(interval: Interval | None) -> str:
    """An interval for a table."""
    return f"{interval.low:.3f} to {interval.high:.3f}" if interval else "not known"
