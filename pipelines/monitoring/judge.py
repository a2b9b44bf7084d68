"""Whether a window of answers looks as the reference does: every kind of drift at once.

Each kind is one statistic; see `pipelines.monitoring.permutation` for how chance is told from
drift, and docs/monitoring.md for what each kind catches.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from pipelines.errors import WindowError
from pipelines.evaluation.novelty import unit
from pipelines.monitoring.answers import Answers
from pipelines.monitoring.mmd import discrepancy, gaussian_kernel
from pipelines.monitoring.permutation import Floats, Members, adjusted, memberships
from pipelines.monitoring.reference import Reference
from pipelines.monitoring.statistics import jensen_shannon, kolmogorov_smirnov, share_difference
from pipelines.spec import MonitorSpec

Kind = Literal[
    "brightness",
    "contrast",
    "width",
    "height",
    "features",
    "classes",
    "confidence",
    "abstention",
    "novelty",
]

LEAST_ROWS = 30
MOST_ROWS = 2000
"""Rows that are looked at on either side; of more, so many by chance."""
CHOICES = 2000
"""Random windows, at least, before drift is called."""
CLEARLY = 10
"""How many times the limit a p-value is that needs no further choices."""


class Finding(BaseModel):
    """What one kind of drift came to in a window."""

    model_config = ConfigDict(frozen=True)

    name: Kind
    statistic: float
    """How far the window is from the reference; 0 is no difference. Of ``features`` a squared
    discrepancy, of the others a distance from 0 to 1."""
    p_value: float
    """How often chance alone shows as much in any kind, adjusted for all kinds together."""
    limit: float
    """The p-value from which on down drift is called."""
    drifted: bool
    detail: str
    """A sentence for a person."""


@dataclass(frozen=True)
class _Test:
    """One kind of drift, on the rows of reference and window together."""

    name: Kind
    statistic: Callable[[Members], Floats]
    told: Callable[[NDArray[np.bool_]], str]
    """What some of the rows look like, in words."""


def judge(
    reference: Reference, window: Answers, rules: MonitorSpec, *, seed: int = 0
) -> list[Finding]:
    """Compare a window with the reference.

    Args:
        reference: of the model that answered.
        window: its answers, drawn as the reference's were if nothing has drifted. Pictures of one
            patient count as one if both sides know their groups; else as independent, which makes
            more false alarms where patients give many pictures.
        rules: ``false_alarms`` is the chance that any finding of a clean window is a false alarm.
        seed: of the random choices; the same seed gives the same findings.

    Returns:
        One finding for each kind of drift; none of ``novelty`` for a bundle of format 1.

    Raises:
        WindowError: too few rows, values that are no numbers, or answers of another model.
    """
    require_comparable(reference.answers, window)
    rng = np.random.default_rng(seed)
    before, now = (_thinned(answers, rng) for answers in (reference.answers, window))
    in_window = np.repeat([False, True], [len(before), len(now)])
    tests = list(_tests(reference, before, now))
    choices = max(CHOICES, math.ceil(2 * len(tests) / rules.false_alarms))
    blocks = memberships(_units(before, now), in_window, choices=choices, seed=seed)
    statistics = np.empty((len(tests), 0))
    for number, members in enumerate(blocks):
        block = np.stack([test.statistic(members) for test in tests])
        statistics = np.concatenate([statistics, block], axis=1)
        if number and adjusted(statistics).min() > CLEARLY * rules.false_alarms:
            break  # more choices would not make drift of it (Besag and Clifford 1991)
    return [
        Finding(
            name=test.name,
            statistic=float(seen),
            p_value=float(p_value),
            limit=rules.false_alarms,
            drifted=bool(p_value <= rules.false_alarms),
            detail=f"{test.told(in_window)}; the reference: {test.told(~in_window)}.",
        )
        for test, seen, p_value in zip(tests, statistics[:, 0], adjusted(statistics), strict=True)
    ]


def require_comparable(reference: Answers, window: Answers) -> None:
    """Raises WindowError: a window cannot be held against this reference."""
    if len(window) < LEAST_ROWS:
        raise WindowError(
            f"The window has {len(window)} answers; {LEAST_ROWS} are needed to tell drift from "
            "chance. Wait for more, or make `monitor: {window: …}` larger."
        )
    if window.classes != reference.classes:
        raise WindowError(
            f"The window's model tells {', '.join(window.classes)} apart, the reference's "
            f"{', '.join(reference.classes)}. Judge each version by its own profile."
        )
    theirs, ours = window.features.shape[1], reference.features.shape[1]
    if theirs != ours:
        raise WindowError(
            f"The window's features have {theirs} channels, the reference's {ours}. Judge each "
            "version by its own profile."
        )
    for name in ("features", "probabilities", "pictures"):
        rows = ~np.isfinite(getattr(window, name)).all(axis=1)
        if rows.any():
            raise WindowError(
                f"{name} of {rows.sum()} of {len(window)} answers are no finite numbers, first in "
                f"row {int(rows.argmax())}. Leave these answers out, and look into the model."
            )


def _thinned(answers: Answers, rng: np.random.Generator) -> Answers:
    if len(answers) <= MOST_ROWS:
        return answers
    return answers.take(np.sort(rng.choice(len(answers), MOST_ROWS, replace=False)))


def _units(before: Answers, now: Answers) -> list[str]:
    """What moves together: groups if both sides know them."""
    if before.groups is None or now.groups is None:
        return [str(row) for row in range(len(before) + len(now))]
    return [*before.groups, *now.groups]


def _tests(reference: Reference, before: Answers, now: Answers) -> Iterator[_Test]:
    pictures = np.concatenate([before.pictures, now.pictures])
    titles = ("mean grey level", "spread of grey levels", "width", "height")
    names: tuple[Kind, ...] = ("brightness", "contrast", "width", "height")
    for name, title, values in zip(names, titles, pictures.T, strict=True):
        yield _values(name, title, values)
    features = np.concatenate([before.features, now.features])
    yield _features(features, np.repeat([False, True], [len(before), len(now)]))
    yield _classes(before.classes, np.concatenate([before.predicted, now.predicted]))
    yield _values("confidence", "confidence", np.concatenate([before.confidence, now.confidence]))
    yield _abstention(np.concatenate([before.abstained, now.abstained]))
    if reference.novelty is not None:
        unlikeness = reference.novelty.distances(features) / reference.novelty.limit
        yield _values("novelty", "distance from the training images", unlikeness)


def _values(name: Kind, title: str, values: NDArray[np.floating]) -> _Test:
    return _Test(
        name,
        lambda members: kolmogorov_smirnov(values, members),
        lambda rows: f"median {title} {np.median(values[rows]):.3g}",
    )


def _features(features: NDArray[np.float32], in_window: NDArray[np.bool_]) -> _Test:
    points = unit(features)
    kernel = gaussian_kernel(points)
    likeness = points @ points[~in_window].mean(axis=0)
    return _Test(
        "features",
        lambda members: discrepancy(kernel, members),
        lambda rows: f"median likeness {np.median(likeness[rows]):.3f} to the reference's mean",
    )


def _classes(classes: tuple[str, ...], predicted: NDArray[np.int64]) -> _Test:
    def told(rows: NDArray[np.bool_]) -> str:
        counts = np.bincount(predicted[rows], minlength=len(classes)) / rows.sum()
        return ", ".join(f"{n} {share:.0%}" for n, share in zip(classes, counts, strict=True))

    return _Test("classes", lambda members: jensen_shannon(predicted, members), told)


def _abstention(abstained: NDArray[np.bool_]) -> _Test:
    return _Test(
        "abstention",
        lambda members: share_difference(abstained, members),
        lambda rows: f"{abstained[rows].mean():.1%} abstained",
    )
