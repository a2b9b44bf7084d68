"""Labels: images whose label is probably wrong, or that should not be here, for a person to review.

Nothing is taken out because of it: every figure of the evaluation counts all images, and what is
found here says by how much these images bound it.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines import spreadsheet
from pipelines.evaluation.intervals import Interval, draws, percentiles
from pipelines.evidence.confident import margin, suggested, suspected
from pipelines.evidence.finding import Finding, Table
from pipelines.evidence.sheet import Shown, draw_sheet
from pipelines.evidence.subject import Subject
from pipelines.evidence.unlike import FAR, features_of, unlike
from pipelines.outputs import SplitName

ABOUT = (
    "Confident learning (Northcutt et al. 2021): a label is suspected where the candidate, which "
    "has not learned from these images, is at least as sure of another class as it is, on average, "
    "of the images that carry that class's label. A suspected label may be wrong, or the model "
    "may be: each needs a person to look. Images that are like no other (by what the network makes "
    "of them) may be of another modality or organ. The list is figures/labels_to_review.csv; "
    "every figure of the evaluation counts these images, and nothing was left out."
)
ASKED: tuple[SplitName, ...] = ("validation", "test")
REVIEW = "labels_to_review.csv"
COLUMNS = ("split", "source_path", "label", "suggested", "margin", "why")
LISTED = 20
SHOWN = 24
RESAMPLES = 500
SUSPECT, UNLIKE = "label", "unlike all others"
PICTURE = "labels.png"


def look(subject: Subject, folder: Path) -> Finding:
    """List what should be reviewed; writes the list and a sheet of pictures."""
    rows = pd.concat([_judged(subject, split) for split in ASKED], ignore_index=True)
    review = rows[rows["why"] != ""].sort_values(["why", "margin"], kind="stable")
    with (folder / REVIEW).open("w", encoding="utf-8", newline="") as file:
        spreadsheet.write_csv(file, COLUMNS, review.to_dict("records"))
    test = rows[rows["split"] == "test"]
    figures, bounds = _figures(rows, test, seed=subject.seed)
    pictures = {}
    if len(review):
        shown = [
            Shown(row["split"], row["position"], f"{row['label']} → {row['suggested'] or '?'}")
            for row in review.head(SHOWN).to_dict("records")
        ]
        draw_sheet(subject.data, shown, folder / PICTURE, title=f"{subject.title}: to review")
        pictures[PICTURE] = "The images to review first: label → what the model is sure of."
    return Finding(
        title="Labels to review",
        about=ABOUT,
        said=_said(figures),
        warnings=_warnings(figures, len(test)),
        figures=figures,
        intervals=bounds,
        tables=(_table(review),),
        pictures=pictures,
    )


def _judged(subject: Subject, split: SplitName) -> pd.DataFrame:
    """The images of a split, each with the class it may belong to and why it needs review."""
    labels, probabilities = subject.labels(split), subject.probabilities(split)
    named = np.array([*subject.classes, ""])
    rows = subject.of(split)
    found = suspected(labels, probabilities)
    far = _unlike(subject, split) > FAR
    return rows[["split", "source_path", "group", "label"]].assign(
        position=np.arange(len(rows)),
        right=subject.answers(split).right(labels),
        suggested=np.where(found, named[suggested(labels, probabilities)], ""),
        margin=margin(labels, probabilities).round(4),
        why=np.select([found, far], [SUSPECT, UNLIKE], ""),
    )


def _unlike(subject: Subject, split: SplitName) -> NDArray[np.float64]:
    """(n,) how far each test image stands from the others; 0 where there is no network."""
    rows = subject.of(split)
    if subject.network is None or split != "test":
        return np.zeros(len(rows))
    features = features_of(subject.network, subject.data, split)
    return unlike(features, rows["group"].to_numpy(str))


def _figures(
    rows: pd.DataFrame, test: pd.DataFrame, *, seed: int
) -> tuple[dict[str, float], dict[str, Interval]]:
    kept = test[test["why"] == ""]
    figures = {
        "suspected": float((test["why"] == SUSPECT).sum()),
        "suspected_validation": float(((rows["why"] == SUSPECT) & (rows["split"] != "test")).sum()),
        "unlike": float((test["why"] == UNLIKE).sum()),
        "accuracy": float(test["right"].mean()),
    }
    bounds = {"accuracy": _interval(test, seed=seed)}
    if len(kept):
        figures["accuracy_without"] = float(kept["right"].mean())
        bounds["accuracy_without"] = _interval(kept, seed=seed)
    return figures, bounds


def _interval(rows: pd.DataFrame, *, seed: int) -> Interval:
    right = rows["right"].to_numpy(np.float64)
    parts = [
        weights @ right / weights.sum(axis=1)
        for weights in draws(rows["group"].tolist(), seed=seed, resamples=RESAMPLES)
    ]
    return percentiles(np.concatenate(parts))


def _said(figures: dict[str, float]) -> tuple[str, ...]:
    said = [
        f"{figures['suspected']:.0f} test labels and {figures['suspected_validation']:.0f} of "
        "validation are suspected.",
        f"{figures['unlike']:.0f} test images are like no other.",
    ]
    if "accuracy_without" in figures:
        said.append(
            f"Accuracy on the test set is {figures['accuracy']:.3f} with them and "
            f"{figures['accuracy_without']:.3f} without: an upper bound of what review could "
            "change, as the model's own mistakes are among them."
        )
    return tuple(said)


def _warnings(figures: dict[str, float], images: int) -> tuple[str, ...]:
    if not figures["suspected"]:
        return ()
    return (
        f"{figures['suspected']:.0f} of {images:,} test labels are suspected and nobody has "
        f"reviewed them: see figures/{REVIEW}.",
    )


def _table(review: pd.DataFrame) -> Table:
    tests = review[review["split"] == "test"].head(LISTED)
    return Table(
        title=f"Test images to review, the first {LISTED} at most",
        columns=COLUMNS[1:],
        rows=tuple(tests[list(COLUMNS[1:])].itertuples(index=False, name=None)),
    )
