"""Shortcuts: whether the class can be told from pixels that show no body, and whether it is.

A learner that sees only the outer frame, or only the background, ought to do no better than
chance. Where it does better, the classes come from different sources, and a network can learn the
source instead of the disease (Zech et al. 2018; DeGrave et al. 2021).
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.data.input.training_set import Images
from pipelines.evaluation import intervals
from pipelines.evaluation.decisions import Decisions
from pipelines.evaluation.intervals import Interval
from pipelines.evidence.blanked import ask_blanked, figures_of, table_of
from pipelines.evidence.finding import Finding, Table
from pipelines.evidence.sample import draw_sample
from pipelines.evidence.subject import Subject
from pipelines.evidence.surroundings import describe_background, describe_frame

ABOUT = (
    "Two small learners (extremely randomised trees, Geurts et al. 2006) see of {images} training "
    "images nothing but the outer frame, or nothing but shades and noise of the background; their "
    "answers to images of groups that they have not seen are judged by macro AUROC: 0.5 is "
    "chance. Then the candidate itself is asked about test images whose background is made black, "
    "and about the same images with the body painted over: its answers should stand without the "
    "background, and should not stand without the body (agreement beyond chance: Cohen's kappa)."
)
IMAGES = 1000
"""Training images that the small learners see; a seeded sample where there are more."""
ASKED = 128
"""Test images that the candidate is asked about without background or body."""
FOLDS = 4
TREES = 200
LEAF = 3
RESAMPLES = 300
CHANCE = 0.5
LEAST_AGREEMENT = 0.9
"""Share of answers that should stand without the background."""
WORDS = {"border": "the outer frame", "background": "the background"}

Picture = NDArray[np.uint8]
Descriptions = NDArray[np.float64]


class Known(NamedTuple):
    """Training images: how each is described, its class and its group."""

    descriptions: Descriptions
    labels: NDArray[np.int64]
    groups: NDArray[np.str_]


def look(subject: Subject, _: Path) -> Finding:
    """Look for what tells the class without showing the body; draws nothing."""
    split = subject.data.split("train")
    drawn = np.random.default_rng(subject.seed).permutation(split.rows)[:IMAGES]
    described = {
        "border": _known(split, drawn, describe_frame),
        "background": _known(split, drawn, describe_background),
    }
    figures, bounds = {}, {}
    for name, known in described.items():
        if (learnt := auroc(known, subject.classes, seed=subject.seed)) is not None:
            figures[f"{name}_auroc"], bounds[f"{name}_auroc"] = learnt
    tables = [_table(described, bounds, figures)]
    warnings = [*_telling(figures, bounds)]
    if subject.network is not None:
        sample = draw_sample(subject, ASKED)
        asked = ask_blanked(subject, sample.pictures, sample.labels, sample.groups.tolist())
        if asked is not None:
            of_model, of_bounds = figures_of(asked, seed=subject.seed)
            figures, bounds = figures | of_model, bounds | of_bounds
            tables.append(table_of(figures, asked))
            warnings += _using(figures, bounds)
    return Finding(
        title="Shortcuts",
        about=ABOUT.format(images=len(drawn)),
        said=_said(figures),
        warnings=tuple(warnings),
        figures=figures,
        intervals=bounds,
        tables=tuple(tables),
    )


def _known(
    split: Images, drawn: NDArray[np.int64], describe: Callable[[Picture], Descriptions | None]
) -> Known:
    """The drawn images of a split that can be described so."""
    groups, labels = split.column("group"), split.labels()
    rows: list[tuple[Descriptions, int, str]] = []
    for place in np.sort(drawn):
        if (said := describe(split.pixels([place])[0])) is not None:
            rows.append((said, int(labels[place]), str(groups[place])))
    return Known(
        np.array([row[0] for row in rows], np.float64),
        np.array([row[1] for row in rows], np.int64),
        np.array([row[2] for row in rows], np.str_),
    )


def auroc(known: Known, classes: tuple[str, ...], *, seed: int) -> tuple[float, Interval] | None:
    """Macro AUROC of a small learner's answers to groups it has not seen, with its interval.

    ``None`` where a class has too few groups to be learned and asked about.
    """
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

    groups_of = [len(np.unique(known.groups[known.labels == i])) for i in range(len(classes))]
    if min(groups_of) < FOLDS:
        return None
    answers = cross_val_predict(
        ExtraTreesClassifier(
            TREES, min_samples_leaf=LEAF, class_weight="balanced", random_state=seed
        ),
        known.descriptions,
        known.labels,
        groups=known.groups,
        cv=StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed),
        method="predict_proba",
    )
    areas = [roc_auc_score(known.labels == i, answers[:, i]) for i in range(len(classes))]
    bounds = intervals.bootstrap(
        known.labels,
        Decisions.by_likeliest(answers, classes),
        groups=known.groups.tolist(),
        seed=seed,
        resamples=RESAMPLES,
    )
    return float(np.mean(areas)), bounds["macro_auroc"]


def _said(figures: dict[str, float]) -> tuple[str, ...]:
    said = [
        f"Seeing nothing but {words}, a small learner tells the class with an AUROC of "
        f"{figures[f'{name}_auroc']:.2f}."
        for name, words in WORDS.items()
        if f"{name}_auroc" in figures
    ]
    if "body_blanked_kappa" in figures:
        said.append(
            f"Without the background the candidate gives the same answer to "
            f"{figures['background_blanked_agreement']:.0%} of {figures['blanked_images']:.0f} "
            f"test images; without the body, to {figures['body_blanked_agreement']:.0%} (kappa "
            f"{figures['body_blanked_kappa']:.2f})."
        )
    else:
        said.append("The candidate was not asked about pictures with a part taken out.")
    return tuple(said)


def _telling(figures: dict[str, float], bounds: dict[str, Interval]) -> list[str]:
    return [
        f"The class can be told from pixels that show no body: {words} alone gives an AUROC of "
        f"{figures[f'{name}_auroc']:.2f} (95 % interval {low:.2f} to {high:.2f})."
        for name, words in WORDS.items()
        if f"{name}_auroc" in bounds
        for low, high in [bounds[f"{name}_auroc"]]
        if low > CHANCE
    ]


def _using(figures: dict[str, float], bounds: dict[str, Interval]) -> list[str]:
    warnings = []
    if bounds["body_blanked_kappa"].low > 0:
        warnings.append(
            "The candidate's answers stand in part when the body is painted over (kappa "
            f"{figures['body_blanked_kappa']:.2f}): it uses what is no body."
        )
    if bounds["background_blanked_agreement"].high < LEAST_AGREEMENT:
        warnings.append(
            "The candidate changes "
            f"{1 - figures['background_blanked_agreement']:.0%} of its answers when the "
            "background is made black: it uses what is no body."
        )
    return warnings


def _table(
    described: dict[str, Known], bounds: dict[str, Interval], figures: dict[str, float]
) -> Table:
    rows = tuple(
        (
            WORDS[name],
            len(known.labels),
            figures.get(f"{name}_auroc"),
            *bounds.get(f"{name}_auroc", (None, None)),
        )
        for name, known in described.items()
    )
    columns = ("what is seen", "images", "macro AUROC", "low", "high")
    return Table(title="The class from what is no body", columns=columns, rows=rows)
