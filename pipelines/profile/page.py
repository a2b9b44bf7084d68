"""The page of a profile: what to see on each picture, and what to do about it."""

from pathlib import Path
from typing import Any

from pipelines.documents.document import Cell, Document, Grid, Picture, Section, Text, Warnings
from pipelines.outputs import SPLITS
from pipelines.profile.facts import Facts
from pipelines.profile.shift import shift

ALIKE = 0.9
"""Cosine of deep features above which two pictures were of one patient wherever we have looked
(docs/evidence/profile.md)."""

SECTIONS = {
    "means": (
        "Mean and variability",
        "The mean image of each class, and how much each pixel varies. A sharp mean says that the "
        "images of a class are aligned or come from few series; a frame, a corner mark or a "
        "brighter background in one class alone is something a network can learn instead of the "
        "disease.",
    ),
    "differences": (
        "Differences between classes",
        "Mean image of the class of a row less that of the class of a column (red: the row is "
        "brighter). Differences outside the body, or of the whole field, come from how images were "
        "taken and not from what they show. On the diagonal: test less training, which should be "
        "near white.",
    ),
    "montage": ("A sample of each class", "Training images, drawn by chance, after preparation."),
    "histograms": (
        "Shades",
        "How often each shade occurs. Classes whose curves differ can be told apart without "
        "looking at any shape; test curves (dashed) that leave the training curves (solid) foretell"
        " that a model does worse on the test set.",
    ),
    "textures": (
        "Shades and texture",
        "First-order statistics of the shades, Haralick's statistics of neighbouring shades and "
        "Tamura's coarseness. Boxes hold the middle half of the images.",
    ),
    "deep_map": (
        "What a pretrained network sees",
        "Each dot is an image, placed by the features of a network that never saw this data set. "
        "Islands of one colour that no test image reaches are series that training has and the "
        "test set has not, and the other way round.",
    ),
    "alike": (
        "Held-out images that training images are most like",
        "Copies and near copies are kept together by the split. What is still alike (1 is equal) "
        "may be the next slice of the same scan; such pairs make test figures too good. Red: the "
        "two bear different labels.",
    ),
}
"""Picture → title and explanation, in the order of the page."""


def document(facts: Facts, folder: Path, *, synthetic: bool) -> Document:
    """The page.

    Args:
        facts: of the profile.
        folder: where its pictures are, ``<name>.png``.
        synthetic: whether a program drew the images.
    """
    lead = [Text(f"{sum(s.images for s in facts.sums.values()):,} images as a model gets them.")]
    if synthetic:
        lead.append(Text("Synthetic images, drawn by a program."))
    statistics = facts.statistics()
    sections = [Section("Images", (_counts(facts, statistics), *_shifts(statistics)))]
    for name, (title, about) in SECTIONS.items():
        blocks = (Text(about), Picture(folder / f"{name}.png", title))
        warned = _warnings(facts) if name == "alike" else ()
        sections.append(Section(title, (*warned, *blocks)))
    return Document(f"{facts.title}: what the images look like", tuple(lead), tuple(sections))


def _counts(facts: Facts, statistics: dict[str, Any]) -> Grid:
    rows = []
    for label, name in enumerate(facts.classes):
        told = statistics["train"][name]
        counts = [facts.of(split, label).images for split in SPLITS]
        rows.append((name, *counts, told.get("grey_mean"), told.get("grey_std")))
    columns = ("class", *SPLITS, "mean shade (training)", "deviation (training)")
    return Grid("Images by class and split", columns, tuple(rows))


def _shifts(statistics: dict[str, Any]) -> tuple[Text, Grid]:
    """How far validation and test are from training, class by class."""
    rows: list[tuple[Cell, ...]] = []
    for split in ("validation", "test"):
        for name, now in statistics[split].items():
            found = shift(statistics["train"][name], now)
            if found is not None:
                rows.append((f"{name}, {split}", found.shades, found.feature, found.moved))
    about = Text(
        "Each class's held-out images against its training images. Shades: Jensen-Shannon distance "
        "of the histograms, 0 (equal) to 1 (nothing shared). Texture: the feature whose mean has "
        "moved most, in standard deviations of the training images; beyond 0.5 the two are not of "
        "one kind, and figures on the one say little about the other."
    )
    columns = ("class, split", "distance of shades", "feature", "moved by")
    return about, Grid("How far held-out images are from training", columns, tuple(rows))


def _warnings(facts: Facts) -> tuple[Warnings, ...]:
    near = [pair for pair in facts.pairs if pair.similarity >= ALIKE]
    labels = facts.deep.images["label"]
    apart = [p for p in near if labels.iloc[p.held_out] != labels.iloc[p.training]]
    said = []
    if near:
        said.append(
            f"At least {len(near)} held-out images have a training image with a similarity of "
            f"{ALIKE} or more: look at them below."
        )
    if apart:
        said.append(f"{len(apart)} of these pairs bear two different labels.")
    return (Warnings(tuple(said)),) if said else ()
