"""Leaks: whether training has seen what the test set shows.

The split lets nothing through; this asks again, of the training set that the candidate was in fact
trained and judged on, however they came to be: by the bytes (SHA-256), by patient or lesion, and
by the picture (`pipelines.data.duplicates.duplicates`, with the spec's own rule).
"""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.data.duplicates.descriptors import stacked
from pipelines.data.duplicates.duplicates import near_pairs
from pipelines.evaluation.intervals import Interval, draws
from pipelines.evaluation.predictions import described
from pipelines.evidence.finding import Finding, Table
from pipelines.evidence.subject import Subject
from pipelines.outputs import SplitName
from pipelines.spec import DuplicatesSpec

ABOUT = (
    "A model that was trained on a test image, or on another picture of the same patient, has "
    "seen the answer: its figures say nothing of new patients. Each test image was looked for "
    "among the images that this candidate was trained on: the same bytes, the same patient or "
    "lesion, and, by their thumbnails, the same picture saved again, mirrored or brightened."
)
LISTED = 20
"""Most leaks that are named one by one."""
WAYS = {
    "copies": "the same bytes",
    "same_group": "the same patient or lesion",
    "near": "the same picture",
}


def look(subject: Subject, _: Path) -> Finding:
    """Look for test images among the training images; draws nothing."""
    learnt, asked = described(subject.data, "train"), subject.of("test")
    shown = {
        "copies": _first(asked["sha256"], learnt["sha256"], learnt["source_path"]),
        "same_group": _first(asked["group"], learnt["group"], learnt["source_path"]),
    }
    pictures = subject.facts["thumbnail"].droplevel("source_path").dropna()
    thumbnails = pictures[~pictures.index.duplicated()]
    shown["near"] = _near(asked["sha256"], learnt, thumbnails, rule=subject.spec.duplicates)
    leaked = pd.DataFrame(shown, index=asked.index)
    share = float(leaked.notna().any(axis=1).mean())
    figures = {name: float(leaked[name].notna().sum()) for name in WAYS} | {"share": share}
    unseen = set(asked["sha256"]) | set(learnt["sha256"])
    unseen -= set(thumbnails.index)
    gap = _gap(subject)
    return Finding(
        title="Leaks from the test set",
        about=ABOUT,
        said=(_said(figures, len(asked), len(learnt)), *_blind(len(unseen))),
        warnings=(*_warned(share), *_suspected(gap)),
        figures=figures | {"test_minus_validation": gap[0]},
        intervals={"test_minus_validation": gap[1]},
        tables=_tables(asked, leaked),
    )


def _first(wanted: pd.Series, known: pd.Series, paths: pd.Series) -> pd.Series:
    """For each value that is wanted, the path of the first row where it is known."""
    first = pd.Series(paths.to_numpy(), index=known).groupby(level=0).first()
    return wanted.map(first)


def _near(
    wanted: pd.Series, learnt: pd.DataFrame, thumbnails: pd.Series, *, rule: DuplicatesSpec
) -> pd.Series:
    """For each test image, the path of the training image that is most like it, if one is."""
    ours = pd.Index(wanted.unique()).intersection(thumbnails.index, sort=False)
    theirs = pd.Index(learnt["sha256"].unique()).intersection(thumbnails.index, sort=False)
    theirs = theirs.difference(ours, sort=False)
    if ours.empty or theirs.empty:
        return pd.Series(np.nan, index=wanted.index, dtype=object)
    asked = np.arange(len(ours) + len(theirs)) < len(ours)
    pairs = near_pairs(stacked(thumbnails.loc[[*ours, *theirs]]), rule, new=asked)
    crossing = pairs[(pairs["first"] < len(ours)) & (pairs["second"] >= len(ours))]
    best = crossing.sort_values("correlation", ascending=False, kind="stable")
    best = best.drop_duplicates("first")
    path_of = learnt.drop_duplicates("sha256").set_index("sha256")["source_path"]
    found = path_of.loc[theirs[best["second"].to_numpy(int) - len(ours)]].to_numpy()
    return wanted.map(pd.Series(found, index=ours[best["first"].to_numpy(int)], dtype=object))


def _gap(subject: Subject) -> tuple[float, Interval]:
    """By how much test accuracy exceeds that on validation, with its 95 % interval."""
    value, drawn = {}, {}
    splits: tuple[SplitName, ...] = ("validation", "test")
    for split in splits:
        rows = subject.of(split)
        right = subject.answers(split).right(subject.labels(split)).astype(np.float64)
        value[split] = float(right.mean())
        drawn[split] = _accuracies(right, rows["group"].tolist(), seed=subject.seed)
    low, high = np.percentile(drawn["test"] - drawn["validation"], [2.5, 97.5])
    return value["test"] - value["validation"], Interval(float(low), float(high))


def _accuracies(right: NDArray[np.float64], groups: list[str], *, seed: int) -> NDArray[np.float64]:
    """(resamples,) accuracy, resampled by group."""
    parts = [weights @ right / weights.sum(axis=1) for weights in draws(groups, seed=seed)]
    return np.concatenate(parts)


def _said(figures: dict[str, float], asked: int, learnt: int) -> str:
    counts = ", ".join(f"{figures[name]:,.0f} show {words}" for name, words in WAYS.items())
    return f"Of {asked:,} test images, held against {learnt:,} training images: {counts}."


def _blind(images: int) -> tuple[str, ...]:
    if not images:
        return ()
    return (f"{images:,} images have no thumbnail, and could only be compared by bytes and group.",)


def _warned(share: float) -> tuple[str, ...]:
    if not share:
        return ()
    return (f"Training has seen {share:.1%} of the test images: its figures flatter the model.",)


def _suspected(gap: tuple[float, Interval]) -> tuple[str, ...]:
    if gap[1].low <= 0:
        return ()
    return (
        f"The model is better on the test set than on validation, by {gap[0]:.3f} of accuracy "
        f"({gap[1].low:.3f} to {gap[1].high:.3f}): the test set is easier, or leaks by a way that "
        "was not looked for.",
    )


def _tables(asked: pd.DataFrame, leaked: pd.DataFrame) -> tuple[Table, ...]:
    rows = [
        (path, row[way], words)
        for path, row in zip(asked["source_path"], leaked.to_dict("records"), strict=True)
        for way, words in WAYS.items()
        if pd.notna(row[way])
    ]
    if not rows:
        return ()
    title = "Leaks" if len(rows) <= LISTED else f"The first {LISTED} of {len(rows):,} leaks"
    columns = ("test image", "training image", "they share")
    return (Table(title=title, columns=columns, rows=tuple(rows[:LISTED])),)
