"""How much do a candidate's figures depend on who happened to be held out?

Repeated cross-validation by group: the images of a group (patient, lesion, cluster of copies)
stand in one fold, and folds have the classes' shares, as far as whole groups allow. The folds
are made of the training and validation images; the test set stays out. Early stopping looks at
a further part of each fold's training images, so that no image that judges was looked at before.

Folds share training images, so their figures are not independent and a plain t-interval is too
narrow. The variance is that of Nadeau and Bengio (2003), corrected for the overlap:
``(1 / k + judged / trained) · s²`` for k trainings, with ``k - 1`` degrees of freedom.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel
from scipy import stats
from sklearn.model_selection import StratifiedGroupKFold

from pipelines.data.input.training_set import Part, TrainingSet
from pipelines.errors import TrainingError
from pipelines.evaluation import figures
from pipelines.evaluation.intervals import Interval
from pipelines.evaluation.metrics import OVERALL
from pipelines.features.extract import training_set
from pipelines.models.identity import weights_identity
from pipelines.outputs import Prepared, SplitName
from pipelines.progress import track
from pipelines.spec import CandidateSpec, DatasetSpec
from pipelines.stage import Context, fingerprint
from pipelines.studies.judged import Judged, require_network, train_and_judge
from pipelines.studies.pictures import folds_picture
from pipelines.studies.study import KIND, Study, Work, study
from pipelines.studies.tune import settled
from pipelines.tracking import runs
from pipelines.training.code import training_code

SOURCES: tuple[SplitName, ...] = ("train", "validation")
"""What the folds are made of."""
SEEDS_APART = 1_000
"""Between trainings; the seed of an epoch is that of the training and the epoch's number."""
HELD_OUT: SplitName = "test"
"""What a fold's own training set calls the part that judges."""


class CrossValidation(BaseModel):
    """Figures over all folds of all repeats."""

    run_id: str
    candidate: str
    folds: int
    repeats: int
    trained: list[Judged]
    """One for each fold of each repeat."""
    means: dict[str, float]
    intervals: dict[str, Interval]
    """95 %, of the means."""


def run(
    spec: DatasetSpec,
    context: Context,
    prepared: Prepared,
    candidate: str,
    *,
    folds: int = 5,
    repeats: int = 2,
) -> CrossValidation:
    """Cross-validate a candidate; folds that are done are not done again.

    Raises:
        SpecError: the spec has no such candidate, or it is not a network.
        TrainingError: there are too few groups of a class for so many folds.
        TrackingUnavailable: MLflow does not answer.
        StoreUnavailable: the store does not answer.
    """
    require_network(spec.candidate(candidate))
    chosen, tags = settled(spec, context, prepared, spec.candidate(candidate))
    weights, seed = weights_identity(chosen.weights), spec.split.seed
    asked = ("cross-validation", prepared.id, chosen, weights, seed, folds, repeats, SEEDS_APART)
    data = training_set(context, prepared)
    return study(
        spec,
        context,
        kind=CrossValidation,
        name=f"{candidate} · {repeats} x {folds} folds",
        identity=fingerprint(*asked, training_code(chosen)),
        params={"folds": folds, "repeats": repeats, **chosen.model_dump()},
        tags=tags
        | {KIND: "cross_validation", "medloop.candidate": candidate}
        | {"medloop.prepared": prepared.path},
        work=lambda place: _validate(place, spec, chosen, data, folds=folds, repeats=repeats),
    )


def divide(rows: pd.DataFrame, *, folds: int, seed: int) -> list[NDArray[np.str_]]:
    """For each fold, which part every image stands in.

    Args:
        rows: ``group`` and ``label`` of each image.
        folds: how many; each image is held out once.
        seed: of the division.

    Returns:
        For each fold, (images,) of ``train``, ``validation`` or ``test`` (held out).

    Raises:
        TrainingError: a class has fewer groups than there are to be folds, and one more.
    """
    _require_groups(rows, folds)
    by = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    divided = []
    for rest, held_out in by.split(rows, rows["label"], rows["group"]):
        part = np.full(len(rows), "train", dtype="<U10")
        part[held_out] = HELD_OUT
        left = rows.iloc[rest]
        _, stopping = next(by.split(left, left["label"], left["group"]))
        part[rest[stopping]] = "validation"
        divided.append(part)
    return divided


def training_seed(seed: int, *, training: int) -> int:
    """The seed of one of the trainings: each its own, or the interval would miss the variance of
    random weights."""
    return seed + SEEDS_APART * training


def corrected_interval(
    values: Sequence[float], *, judged_by_trained: float, confidence: float = 0.95
) -> Interval:
    """The interval of a mean over folds, corrected for what their training sets share.

    Args:
        values: a figure, of each training.
        judged_by_trained: images held out, by images trained on.
        confidence: how often such intervals hold the true mean.

    Returns:
        At most 1 above, which no figure exceeds.
    """
    k = len(values)
    variance = (1 / k + judged_by_trained) * np.var(values, ddof=1)
    reach = stats.t.ppf((1 + confidence) / 2, k - 1) * np.sqrt(variance)
    mean = float(np.mean(values))
    return Interval(mean - float(reach), min(1.0, mean + float(reach)))


def _require_groups(rows: pd.DataFrame, folds: int) -> None:
    groups = rows.groupby("label")["group"].nunique()
    if groups.min() <= folds:
        raise TrainingError(
            f"Class number {groups.idxmin()} has {groups.min()} groups to train on, too few for "
            f"{folds} folds with one to stop by; ask for fewer folds, or land more images of it."
        )


def _validate(
    place: Study,
    spec: DatasetSpec,
    candidate: CandidateSpec,
    data: TrainingSet,
    *,
    folds: int,
    repeats: int,
) -> CrossValidation:
    seed = spec.split.seed
    sizes = [data.split(source).rows for source in SOURCES]
    rows = pd.concat([data.described(source) for source in SOURCES], ignore_index=True)
    plan = [
        (repeat, fold, part)
        for repeat in range(repeats)
        for fold, part in enumerate(divide(rows, folds=folds, seed=seed + repeat))
    ]
    trained: list[Judged] = []
    for repeat, fold, part in track(plan, total=len(plan), what="Folds"):
        named = f"repeat {repeat + 1}, fold {fold + 1}"
        by_source = np.split(part, [sizes[0]])

        own = training_seed(seed, training=len(trained))

        def work(
            one: Work, by_source: list[NDArray[np.str_]] = by_source, own: int = own
        ) -> Judged:
            part = data.subset(_parts(by_source))
            return train_and_judge(one, spec, candidate, part, split=HELD_OUT, seed=own)

        params = {"repeat": repeat + 1, "fold": fold + 1}
        trained.append(place.member(named, named, params=params, kind=Judged, work=work))
    found = _mean(place.run_id, candidate.name, trained, folds=folds, repeats=repeats)
    _log(place, found)
    return found


def _parts(by_source: list[NDArray[np.str_]]) -> tuple[Part, ...]:
    targets: tuple[SplitName, ...] = ("train", "validation", HELD_OUT)
    return tuple(
        Part(source, part == target, target)
        for target in targets
        for source, part in zip(SOURCES, by_source, strict=True)
    )


def _mean(
    run_id: str, candidate: str, trained: list[Judged], *, folds: int, repeats: int
) -> CrossValidation:
    by_name = {name: [one.figures[name] for one in trained] for name in trained[0].figures}
    ratio = float(np.mean([one.held_out / one.images for one in trained]))
    return CrossValidation(
        run_id=run_id,
        candidate=candidate,
        folds=folds,
        repeats=repeats,
        trained=trained,
        means={name: float(np.mean(values)) for name, values in by_name.items()},
        intervals={
            name: corrected_interval(values, judged_by_trained=ratio)
            for name, values in by_name.items()
        },
    )


def _log(place: Study, found: CrossValidation) -> None:
    place.log({f"cross_validation.{name}": value for name, value in found.means.items()})
    runs.set_tags(place.tracking, place.run_id, {"mlflow.note.content": note(found)})
    with tempfile.TemporaryDirectory(prefix="medloop-") as folder:
        figures.save(folds_picture(found), Path(folder) / "folds.png")
        place.tracking.upload(place.run_id, Path(folder), folder="figures")


def note(found: CrossValidation) -> str:
    """The figures in Markdown."""
    lines = [
        f"**{found.candidate}**: {found.folds} folds by group, {found.repeats} times, of training "
        "and validation images. Intervals: 95 %, corrected for what the folds share "
        "(Nadeau and Bengio 2003). The likeliest class is decided for (argmax), whatever "
        "thresholds serve.",
        "",
        "| figure | mean | 95 % interval | least | most |",
        "|---|---|---|---|---|",
    ]
    for name in OVERALL:
        values = [one.figures[name] for one in found.trained]
        low, high = found.intervals[name]
        lines.append(
            f"| {name} | {found.means[name]:.3f} | {low:.3f} to {high:.3f} "
            f"| {min(values):.3f} | {max(values):.3f} |"
        )
    return "\n".join(lines)
