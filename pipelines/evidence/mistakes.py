"""Mistakes: every test image that was answered wrongly, for a person to look at.

A figure says how many; only the pictures say why. The findings that were missed come first, as
those harm most, and of each kind those the model was surest of, as nobody would have doubted them.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipelines import spreadsheet
from pipelines.evidence.finding import Finding, Table
from pipelines.evidence.sheet import Shown, draw_sheet
from pipelines.evidence.subject import Subject

ABOUT = (
    "Every test image that was answered wrongly: findings called none first (missed), then none "
    "called a finding (false alarms), then one class taken for another; of each, those first that "
    "the model was surest of. All are listed in figures/mistakes.csv with their paths. Look at "
    "them before you believe a figure, and before you blame the network: wrong labels, other "
    "modalities and images that do not show the disease are among them."
)
LISTED = "mistakes.csv"
PICTURE = "mistakes.png"
COLUMNS = ("source_path", "label", "predicted", "kind", "confidence", "of_label", "source")
SHOWN = 48
SURE = 0.9
MISSED, FALSE_ALARM, OTHER = "missed", "false alarm", "other class"
ORDER = (MISSED, FALSE_ALARM, OTHER)


def look(subject: Subject, folder: Path) -> Finding:
    """Count what went wrong; writes the list and a sheet of pictures."""
    rows = subject.of("test")
    wrong = _wrong(subject, rows)
    with (folder / LISTED).open("w", encoding="utf-8", newline="") as file:
        spreadsheet.write_csv(file, COLUMNS, wrong.to_dict("records"))
    pictures = {}
    if len(wrong):
        shown = [_shown(row) for row in wrong.head(SHOWN).to_dict("records")]
        draw_sheet(subject.data, shown, folder / PICTURE, title=f"{subject.title}: mistakes")
        pictures[PICTURE] = (
            f"The first {len(shown)} of {len(wrong)}: true class → answer, and how sure it was."
        )
    counts = {kind: int((wrong["kind"] == kind).sum()) for kind in ORDER}
    sure = int((wrong["confidence"] >= SURE).sum())
    return Finding(
        title="Mistakes",
        about=ABOUT,
        said=_said(counts, sure=sure, images=len(rows)),
        figures={
            "count": float(len(wrong)),
            "missed": float(counts[MISSED]),
            "false_alarms": float(counts[FALSE_ALARM]),
            "sure": float(sure),
        },
        tables=(_table(wrong, rows),) if len(wrong) else (),
        pictures=pictures,
    )


def _shown(row: dict[Any, Any]) -> Shown:
    line = f"{row['label']} → {row['predicted']}\n{row['confidence']:.2f}"
    return Shown("test", row["position"], line)


def _wrong(subject: Subject, rows: pd.DataFrame) -> pd.DataFrame:
    """The wrong answers, worst first: the columns listed, and ``position``."""
    answers, labels = subject.answers("test"), subject.labels("test")
    findings = subject.spec.findings
    shows, called = rows["label"].isin(findings), np.isin(answers.names, findings)
    every = rows[["source_path", "label"]].assign(
        predicted=answers.names,
        kind=np.select([shows & ~called, ~shows & called], [MISSED, FALSE_ALARM], OTHER),
        confidence=answers.confidence.round(4),
        of_label=answers.probabilities[np.arange(len(rows)), labels].round(4),
        source=subject.sources("test"),
        position=np.arange(len(rows)),
    )
    wrong = every[~answers.right(labels)]
    rank = wrong["kind"].map(ORDER.index)
    return wrong.assign(rank=rank).sort_values(
        ["rank", "confidence", "source_path"], ascending=[True, False, True], kind="stable"
    )


def _said(counts: dict[str, int], *, sure: int, images: int) -> tuple[str, ...]:
    wrong = sum(counts.values())
    if not wrong:
        return (f"All {images:,} test images were answered rightly.",)
    return (
        f"{wrong} of {images:,} test images were answered wrongly: {counts[MISSED]} findings were "
        f"missed, {counts[FALSE_ALARM]} images without one were called one, {counts[OTHER]} were "
        "taken for another class.",
        f"{sure} of the {wrong} wrong answers were given with a probability of {SURE} or more.",
    )


def _table(wrong: pd.DataFrame, rows: pd.DataFrame) -> Table:
    """One row for each kind of confusion, the most frequent first."""
    images = rows["label"].value_counts()
    pairs = (
        wrong.groupby(["label", "predicted"], as_index=False)
        .agg(count=("position", "size"), surest=("confidence", "max"))
        .sort_values("count", ascending=False, kind="stable")
    )
    return Table(
        title="What was taken for what",
        columns=("label", "answer", "images", "of that label", "surest"),
        rows=tuple(
            (row["label"], row["predicted"], row["count"], int(images[row["label"]]), row["surest"])
            for row in pairs.to_dict("records")
        ),
    )
