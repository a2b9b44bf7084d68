"""What a candidate answers when the background, or the body, is taken out of the picture."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.intervals import Interval, draws, percentiles
from pipelines.evidence.finding import Table
from pipelines.evidence.surroundings import without_background, without_body

if TYPE_CHECKING:
    from pipelines.evidence.subject import Subject

BATCH = 32
RESAMPLES = 500

Pictures = NDArray[np.uint8]
Answers = NDArray[np.int64]


@dataclass(frozen=True)
class Blanked:
    """Answers to the same n pictures, whole and with a part taken out."""

    whole: Answers
    without_background: Answers
    without_body: Answers
    labels: Answers
    groups: list[str]
    classes: int


def ask_blanked(
    subject: "Subject", pictures: Pictures, labels: Answers, groups: list[str]
) -> Blanked | None:
    """Ask about pictures as they are, without background, and without body.

    Args:
        subject: the candidate; it decides as the service does.
        pictures: uint8 (n, size, size, 3); those with hardly any background are not asked about.
        labels: (n,) index of the true class.
        groups: (n,) patient, lesion or cluster of copies.

    Returns:
        The answers; ``None`` if no picture has a background.
    """
    emptied = [without_body(picture) for picture in pictures]
    asked = [index for index, picture in enumerate(emptied) if picture is not None]
    if not asked:
        return None
    cut = np.stack([without_background(pictures[index]) for index in asked])
    return Blanked(
        whole=_answers(subject, pictures[asked]),
        without_background=_answers(subject, cut),
        without_body=_answers(subject, np.stack([p for p in emptied if p is not None])),
        labels=labels[asked],
        groups=[groups[index] for index in asked],
        classes=len(subject.classes),
    )


def kappa(
    one: Answers, other: Answers, classes: int, *, weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Cohen's kappa (1960) of two series of answers, for many weightings of them at once.

    Args:
        one: (n,) index of a class.
        other: (n,) the same of the other series.
        classes: how many there are.
        weights: (resamples, n), not negative.

    Returns:
        (resamples,) 1 for the same answers, 0 for agreement by chance; 0 where undefined, as
        where both always answer the same class.
    """
    first, second = np.eye(classes)[one], np.eye(classes)[other]
    total = weights.sum(axis=1)
    agreed = weights @ (one == other).astype(np.float64) / total
    chance = ((weights @ first) * (weights @ second)).sum(axis=1) / total**2
    room = 1 - chance
    return np.where(room > 0, (agreed - chance) / np.where(room > 0, room, 1), 0.0)


def figures_of(asked: Blanked, *, seed: int) -> tuple[dict[str, float], dict[str, Interval]]:
    """Figures with their 95 % intervals, resampled by group."""
    drawn = list(draws(asked.groups, seed=seed, resamples=RESAMPLES))
    once = np.ones((1, len(asked.whole)))
    figures, bounds = {"blanked_images": float(len(asked.whole))}, {}
    ways = {
        "background_blanked": asked.without_background,
        "body_blanked": asked.without_body,
    }
    for way, answers in ways.items():
        right = {"agreement": answers == asked.whole, "accuracy": answers == asked.labels}
        for name, hits in right.items():
            values = hits.astype(np.float64)
            parts = [weights @ values / weights.sum(axis=1) for weights in drawn]
            figures[f"{way}_{name}"] = float(values.mean())
            bounds[f"{way}_{name}"] = percentiles(np.concatenate(parts))
        pair = (asked.whole, answers, asked.classes)
        figures[f"{way}_kappa"] = float(kappa(*pair, weights=once)[0])
        bounds[f"{way}_kappa"] = percentiles(
            np.concatenate([kappa(*pair, weights=weights) for weights in drawn])
        )
    return figures, bounds


def table_of(figures: dict[str, float], asked: Blanked) -> Table:
    """The figures side by side."""
    whole = float((asked.whole == asked.labels).mean())
    rows = (
        ("the whole picture", whole, 1.0, 1.0),
        *(
            (
                words,
                figures[f"{way}_accuracy"],
                figures[f"{way}_agreement"],
                figures[f"{way}_kappa"],
            )
            for way, words in (
                ("background_blanked", "background black"),
                ("body_blanked", "body in the background's shade"),
            )
        ),
    )
    columns = ("what the model sees", "accuracy", "same answer", "kappa")
    return Table(title="Answers with a part taken out", columns=columns, rows=rows)


def _answers(subject: "Subject", pictures: Pictures) -> Answers:
    network = subject.required_network
    parts = [
        network.logits(pictures[start : start + BATCH]) for start in range(0, len(pictures), BATCH)
    ]
    return subject.decide(np.concatenate(parts)).decided.astype(np.int64)
