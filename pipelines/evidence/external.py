"""External validation: how a candidate does on collections from elsewhere.

A test set that comes from where the training images come from shares their scanners, habits and
patients. Collections that the spec names as ``external`` do not, and are never trained on.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipelines.data import external
from pipelines.data.prepare.segmenters import finder_of
from pipelines.evaluation import figures, intervals, metrics
from pipelines.evaluation.decisions import Decisions
from pipelines.evaluation.intervals import Interval
from pipelines.evaluation.rates import rates
from pipelines.evaluation.targets import Labels
from pipelines.evidence.finding import Finding, Table
from pipelines.evidence.subject import Subject
from pipelines.outputs import Snapshot
from pipelines.progress import track
from pipelines.spec import ExternalSpec

ABOUT = (
    "The candidate was asked about every image of collections from elsewhere, which nothing was "
    "trained on or tuned by. Images that this data set holds too were left out first. Calibration "
    "and thresholds are those of the service, from our own validation images. Intervals: 95 %, by "
    "resampling patients or lesions."
)
SHOWN = ("accuracy", "macro_f1", "macro_auroc", "ece")
BATCH = 32


class Asked(NamedTuple):
    """What was answered about a collection."""

    labels: Labels
    """(n,) index of the true class."""
    answers: Decisions
    """As the service would give them."""
    groups: list[str]
    known: int
    """Pictures left out, as this data set holds them too."""


def look(subject: Subject, folder: Path) -> Finding | None:
    """Judge the candidate on every external collection; ``None`` where the spec names none.

    Raises:
        NotFound: the data set's own snapshot is gone, so nobody knows which pictures are new.
    """
    spec = subject.spec
    if not spec.external:
        return None
    ours = subject.snapshot
    landed = external.snapshots(spec, subject.context)
    parts = [
        _one(subject, e, _ask(subject, landed[e.name], ours), folder)
        for e in spec.external
        if e.name in landed
    ]
    return Finding(
        title="External validation",
        about=ABOUT,
        said=tuple(text for part in parts for text in part.said),
        warnings=tuple(
            f"{e.title} was never ingested, so nothing is known of it."
            for e in spec.external
            if e.name not in landed
        ),
        figures={name: value for part in parts for name, value in part.figures.items()},
        intervals={name: bound for part in parts for name, bound in part.intervals.items()},
        tables=tuple(table for part in parts for table in part.tables),
        pictures={name: caption for part in parts for name, caption in part.pictures.items()},
    )


def _one(subject: Subject, collection: ExternalSpec, asked: Asked, folder: Path) -> Finding:
    """What there is to say of one collection."""
    title, count = collection.title, len(asked.labels)
    if not count:
        known = f"{title} shows no picture that this data set does not hold."
        return Finding(title=title, about=ABOUT, said=(known,))
    findings = subject.spec.findings
    values, limits = measure(asked, findings=findings, seed=subject.seed)
    low, high = limits["accuracy"]
    ways = {"as served": asked.answers}
    if subject.thresholds is not None:
        ways["argmax"] = asked.answers.likeliest
    drawn = figures.confusion_matrices(
        {way: metrics.confusion(asked.labels, answers) for way, answers in ways.items()},
        subject.classes,
        title=f"{subject.title} on {title}",
    )
    picture = f"external_{collection.name}.png"
    figures.save(drawn, folder / picture)
    return Finding(
        title=title,
        about=ABOUT,
        said=(
            f"{title}: accuracy {values['accuracy']:.3f} ({low:.3f} to {high:.3f}) on {count:,} "
            f"images; {asked.known:,} that this data set holds too were left out.",
        ),
        figures={f"{collection.name}.{name}": value for name, value in values.items()},
        intervals={f"{collection.name}.{name}": limit for name, limit in limits.items()},
        tables=(_table(title, values, limits),),
        pictures={picture: f"What was said about the images of {title}."},
    )


def _ask(subject: Subject, snapshot: Snapshot, ours: Snapshot) -> Asked:
    """What the candidate says about the collection's pictures that are not ours too."""
    spec, classes = subject.spec, subject.classes
    rows = external.unseen(spec, subject.context, snapshot, ours)
    network = subject.required_network
    listed, batch, logits = [], [], []
    find = finder_of(subject.context, subject.prepared)
    found = external.images_of(spec, subject.context, rows, find=find)
    for row, picture in track(found, total=len(rows), what=f"Asking about {snapshot.dataset}"):
        listed.append(row)
        batch.append(picture)
        if len(batch) == BATCH or len(listed) == len(rows):
            logits.append(network.logits(np.stack(batch)))
            batch.clear()
    return Asked(
        labels=np.array([classes.index(row["label"]) for row in listed], np.int64),
        answers=subject.decide(np.concatenate([np.empty((0, len(classes)), np.float32), *logits])),
        groups=[row["patient"] or row["sha256"] for row in listed],
        known=snapshot.images - len(rows),
    )


def measure(
    asked: Asked, *, findings: Sequence[str], seed: int
) -> tuple[dict[str, float], dict[str, Interval]]:
    """Figures of a collection, with their 95 % intervals.

    Args:
        asked: what was answered about it.
        findings: those of them that are findings.
        seed: of the resampling.

    Returns:
        name → value and name → interval: `SHOWN` and every sensitivity, where the collection shows
        every class; else accuracy, and the sensitivity of those it shows.
    """
    labels, answers = asked.labels, asked.answers
    if len(np.unique(labels)) < len(answers.classes):
        return _measure_some(asked, seed=seed)
    values = metrics.measure(labels, answers, findings=findings)
    limits = intervals.bootstrap(labels, answers, groups=asked.groups, seed=seed, findings=findings)
    wanted = [name for name in values if name in SHOWN or name.startswith("sensitivity.")]
    return {name: values[name] for name in wanted}, {name: limits[name] for name in wanted}


def _measure_some(asked: Asked, *, seed: int) -> tuple[dict[str, float], dict[str, Interval]]:
    labels, classes = asked.labels, asked.answers.classes
    shown = np.unique(labels)
    right = asked.answers.right(labels)
    of = np.column_stack([np.ones(len(labels), bool), *(labels == index for index in shown)])
    hits = np.repeat(right[:, None], of.shape[1], axis=1)
    names = ["accuracy", *(f"sensitivity.{classes[index]}" for index in shown)]
    found = dict(zip(names, rates(hits, of, groups=asked.groups, seed=seed), strict=True))
    return (
        {name: rate.value for name, rate in found.items()},
        {name: rate.interval for name, rate in found.items()},
    )


def _table(title: str, values: dict[str, float], limits: dict[str, Interval]) -> Table:
    rows = tuple((name, value, *limits[name]) for name, value in values.items())
    return Table(title=title, columns=("figure", "value", "from", "to"), rows=rows)
