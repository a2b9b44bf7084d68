"""Subgroups: whether a model is as good for everybody as it is on the whole.

A good whole may hide a bad part: the young, one hospital, one kind of file. The test images are
divided in every way that is known of them, and each part is measured with its interval.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation import figures
from pipelines.evaluation.rates import Rate, rates
from pipelines.evidence.finding import Finding, Table
from pipelines.evidence.forest import forest
from pipelines.evidence.memberships import memberships
from pipelines.evidence.subject import Subject

ABOUT = (
    "The test images were divided by what the collection says of them and by what their files are "
    "like; each subgroup's figures have a 95 % interval, by resampling patients or lesions "
    "(cluster bootstrap). Many subgroups are looked at, so one of twenty may look worse by chance."
)
SMALL = 30
"""A subgroup of fewer images is shown, and not judged."""
WHOLE = "all images"

Marks = NDArray[np.bool_]
Measures = Mapping[str, tuple[Marks, Marks]]
"""Name → whether an image is a hit, and whether it is asked."""


class Part(NamedTuple):
    """The images of one subgroup."""

    field: str
    name: str
    members: Marks

    @property
    def title(self) -> str:
        return f"{self.field}: {self.name}" if self.name else self.field


def look(subject: Subject, folder: Path) -> Finding | None:
    """Measure every subgroup of the test images; ``None`` where nothing divides them."""
    parts = parts_of(subject)
    if len(parts) == 1:
        return None
    measures = _measures(subject)
    found = _measured(parts, measures, subject)
    named = {part.title: found[part.title] for part in parts[1:]}
    drawn = {title: rated["accuracy"] for title, rated in named.items()}
    figures.save(
        forest(drawn, found[WHOLE]["accuracy"], what="accuracy", title=subject.title),
        folder / "subgroups.png",
    )
    worst = _worst(named)
    return Finding(
        title="Subgroups",
        about=ABOUT,
        said=tuple(
            f"The least {measure} is {rate.value:.3f} ({_bounds(rate)}): {title}, "
            f"{rate.images:,} images; all images: {found[WHOLE][measure].value:.3f}."
            for measure, (title, rate) in worst.items()
        ),
        warnings=tuple(_warnings(named, found[WHOLE])),
        figures={
            "subgroups": float(len(named)),
            **{f"worst_{_name(measure)}": rate.value for measure, (_, rate) in worst.items()},
        },
        intervals={
            f"worst_{_name(measure)}": rate.interval for measure, (_, rate) in worst.items()
        },
        tables=(_table(parts, found, tuple(measures)),),
        pictures={"subgroups.png": "Accuracy of each subgroup beside that of all test images."},
    )


def parts_of(subject: Subject) -> list[Part]:
    """All test images, then every subgroup of them."""
    parts = [Part(WHOLE, "", np.ones(len(subject.of("test")), bool))]
    for field, values in memberships(subject.facts_of("test")).items():
        known = values.dropna()
        parts += [
            Part(field, str(name), (values == name).fillna(False).to_numpy(bool))
            for name in sorted(known.unique())
        ]
    return parts


def _measures(subject: Subject) -> Measures:
    """Of the class that the service would decide for."""
    classes = subject.spec.class_names
    labels = subject.labels("test")
    answers = subject.answers("test")
    measures = {"accuracy": (answers.right(labels), np.ones(len(labels), bool))}
    harmful = np.isin(classes, subject.spec.findings)
    if harmful.any() and not harmful.all():
        ill, called = harmful[labels], harmful[answers.decided]
        measures["sensitivity for any finding"] = (called, ill)
        measures["specificity for any finding"] = (~called, ~ill)
    return measures


def _measured(
    parts: list[Part], measures: Measures, subject: Subject
) -> dict[str, dict[str, Rate]]:
    """Part → measure → its rate; what no image of a part is asked for is left out."""
    asked = [
        (part.title, name, hits, part.members & of)
        for part in parts
        for name, (hits, of) in measures.items()
        if (part.members & of).any()
    ]
    counted = rates(
        np.column_stack([hits for _, _, hits, _ in asked]),
        np.column_stack([of for _, _, _, of in asked]),
        groups=subject.of("test")["group"].tolist(),
        seed=subject.seed,
    )
    found: dict[str, dict[str, Rate]] = {part.title: {} for part in parts}
    for (title, name, _, _), rate in zip(asked, counted, strict=True):
        found[title][name] = rate
    return found


def _worst(named: Mapping[str, Mapping[str, Rate]]) -> dict[str, tuple[str, Rate]]:
    """Measure → the subgroup where it is least, of those that are not small."""
    worst: dict[str, tuple[str, Rate]] = {}
    for title, rated in named.items():
        for measure, rate in rated.items():
            lower = measure not in worst or rate.value < worst[measure][1].value
            if rate.images >= SMALL and lower:
                worst[measure] = (title, rate)
    return worst


def _warnings(named: Mapping[str, Mapping[str, Rate]], whole: Mapping[str, Rate]) -> list[str]:
    return [
        f"The {measure} is lower for {title}: {rate.value:.3f} ({_bounds(rate)}, {rate.images:,} "
        f"images) against {whole[measure].value:.3f} ({_bounds(whole[measure])}) on the whole. "
        "Look at these images before relying on the model for them."
        for title, rated in named.items()
        for measure, rate in rated.items()
        if rate.images >= SMALL and rate.interval.high < whole[measure].interval.low
    ]


def _table(
    parts: list[Part], found: Mapping[str, Mapping[str, Rate]], measures: tuple[str, ...]
) -> Table:
    rows = []
    for part in parts:
        rated = found[part.title]
        images = int(part.members.sum())
        told = [_told(rated.get(measure)) for measure in measures]
        note = "small" if images < SMALL else ""
        rows.append((part.title, images, rated["accuracy"].groups, *told, note))
    return Table(
        title=f"Subgroups of the test images (small: fewer than {SMALL}, not judged)",
        columns=("subgroup", "images", "groups", *measures, "note"),
        rows=tuple(rows),
    )


def _told(rate: Rate | None) -> str | None:
    return f"{rate.value:.3f} ({_bounds(rate)})" if rate else None


def _bounds(rate: Rate) -> str:
    return f"{rate.interval.low:.3f} to {rate.interval.high:.3f}"


def _name(measure: str) -> str:
    """A measure as figures are named."""
    return measure.partition(" ")[0]
