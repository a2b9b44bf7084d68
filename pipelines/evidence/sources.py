"""Sources: how a candidate does on the images of each scanner, hospital or collection.

Nobody wrote the source down; `pipelines.data.split.source_clusters` has found it from the traces of
how the pictures were made. Where the classes come from different sources, a model can learn the
source and do well, until images come from elsewhere.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.evaluation import intervals
from pipelines.evaluation.decisions import Decisions
from pipelines.evaluation.intervals import Interval, draws, percentiles
from pipelines.evidence.finding import Finding, Table
from pipelines.evidence.source_pictures import draw_sources
from pipelines.evidence.subject import Subject
from pipelines.outputs import SPLITS

ABOUT = (
    "Pictures of one origin share traces of how they were made: file size, colour, compression, "
    "border, noise, sharpness, brightness. By these traces, and without a look at labels, all "
    "images were divided into clusters (Gaussian mixture, their number by the Bayesian "
    "information criterion). Each is likely one scanner, hospital or collection. How the candidate "
    "does on each, and how well the class can be told from the number of the cluster alone: a "
    "model can learn to do that, too."
)
JUDGED = 20
"""Test images of a source, or of a class in it, below which no figure is given for it."""
RESAMPLES = 500
CHANCE = 0.5
PICTURE = "sources.png"


def look(subject: Subject, folder: Path) -> Finding | None:
    """Judge a candidate source by source; nothing where there is but one, or none is known."""
    sources = {split: subject.sources(split) for split in SPLITS}
    if len(np.unique(sources["test"][sources["test"] > 0])) < 2:
        return None
    rows = subject.of("test").assign(source=sources["test"])
    rows["right"] = subject.answers("test").right(subject.labels("test"))
    found = {
        source: _share(part, seed=subject.seed)
        for source, part in _parts(rows)
        if source and len(part) >= JUDGED
    }
    told, told_interval = _class_by_source(subject, sources["train"], sources["test"])
    figures = {"count": float(len(np.unique(rows["source"]))), "class_auroc": told}
    bounds = {"class_auroc": told_interval}
    if found:
        worst = min(found, key=lambda source: found[source][0])
        figures |= {"worst_accuracy": found[worst][0], "worst": float(worst)}
        bounds["worst_accuracy"] = found[worst][1]
    title = f"{subject.title}: sources found in the collection"
    draw_sources(subject.data, sources, folder / PICTURE, title=title)
    accuracy = float(rows["right"].mean())
    return Finding(
        title="Where the images come from",
        about=ABOUT,
        said=_said(figures, accuracy),
        warnings=(*_worse(found, accuracy), *_learnable(told_interval)),
        figures=figures,
        intervals=bounds,
        tables=(_by_source(rows, sources["train"], found), _by_class(rows, seed=subject.seed)),
        pictures={PICTURE: "Pictures of each source cluster, with their classes."},
    )


def _parts(rows: pd.DataFrame) -> list[tuple[int, pd.DataFrame]]:
    """The images of each source, 0 where it is unknown."""
    return [(int(n), rows[rows["source"] == n]) for n in np.unique(rows["source"])]


def _share(rows: pd.DataFrame, *, seed: int) -> tuple[float, Interval]:
    """Share of right answers, with its 95 % interval, resampled by group."""
    right = rows["right"].to_numpy(np.float64)
    groups = rows["group"].tolist()
    drawn = [
        weights @ right / weights.sum(axis=1)
        for weights in draws(groups, seed=seed, resamples=RESAMPLES)
    ]
    return float(right.mean()), percentiles(np.concatenate(drawn))


def _class_by_source(
    subject: Subject, learnt: NDArray[np.int32], asked: NDArray[np.int32]
) -> tuple[float, Interval]:
    """Macro AUROC on test images of the share that each class has of its source in training."""
    classes = np.arange(len(subject.classes))
    labels = subject.data.split("train").labels()
    counts = pd.crosstab(learnt, labels).reindex(
        index=range(int(max(learnt.max(), asked.max())) + 1), columns=classes, fill_value=0
    )
    prior = np.bincount(labels, minlength=len(classes)) / len(labels)
    shares = (counts + prior).div(counts.sum(axis=1) + 1, axis=0).to_numpy()
    known, groups = subject.labels("test"), subject.of("test")["group"].tolist()
    bounds = intervals.bootstrap(
        known,
        Decisions.by_likeliest(shares[asked], subject.classes),
        groups=groups,
        seed=subject.seed,
        resamples=RESAMPLES,
    )
    value = _macro_auroc(known, shares[asked], classes)
    return value, bounds["macro_auroc"]


def _macro_auroc(
    labels: NDArray[np.int64], scores: NDArray[np.float64], classes: NDArray[np.int64]
) -> float:
    from sklearn.metrics import roc_auc_score

    areas = [roc_auc_score(labels == index, scores[:, index]) for index in classes]
    return float(np.mean(areas))


def _said(figures: dict[str, float], accuracy: float) -> tuple[str, ...]:
    told = (
        f"The class of a test image can be told from its source alone with an AUROC of "
        f"{figures['class_auroc']:.2f} (0.50 is chance)."
    )
    if "worst" not in figures:
        return (told, f"No source has {JUDGED} test images, so that none is judged by itself.")
    return (
        told,
        f"Accuracy is {accuracy:.3f} on all test images and {figures['worst_accuracy']:.3f} on "
        f"those of source {figures['worst']:.0f}, the worst.",
    )


def _worse(found: dict[int, tuple[float, Interval]], accuracy: float) -> tuple[str, ...]:
    return tuple(
        f"On source {source} the accuracy is {share:.3f} (95 % interval {low:.3f} to {high:.3f}), "
        f"below the {accuracy:.3f} of all test images."
        for source, (share, (low, high)) in found.items()
        if high < accuracy
    )


def _learnable(told: Interval) -> tuple[str, ...]:
    if told.low <= CHANCE:
        return ()
    return (
        "The class can be told from the source of an image (AUROC at least "
        f"{told.low:.2f}): figures on test images from the same sources flatter the model.",
    )


def _by_source(
    rows: pd.DataFrame, learnt: NDArray[np.int32], found: dict[int, tuple[float, Interval]]
) -> Table:
    cells = []
    for source, part in _parts(rows):
        judged = (found[source][0], *found[source][1]) if source in found else (None, None, None)
        classes = part["label"].value_counts(normalize=True)
        main = f"{classes.index[0]} ({classes.iloc[0]:.0%})"
        name = source or "unknown"
        cells.append((name, int((learnt == source).sum()), len(part), main, *judged))
    return Table(
        title="Accuracy by source",
        columns=("source", "to train", "to test", "commonest class", "accuracy", "low", "high"),
        rows=tuple(cells),
    )


def _by_class(rows: pd.DataFrame, *, seed: int) -> Table:
    cells = [
        (source, str(label), len(part), share, *bounds)
        for source, of_source in _parts(rows)
        for label, part in of_source.groupby("label")
        if source and len(part) >= JUDGED
        for share, bounds in [_share(part, seed=seed)]
    ]
    return Table(
        title=f"Sensitivity by source and class, where there are {JUDGED} test images",
        columns=("source", "class", "to test", "sensitivity", "low", "high"),
        rows=tuple(sorted(cells, key=lambda cell: cell[3])),
    )
