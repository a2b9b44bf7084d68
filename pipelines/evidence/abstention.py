"""Abstention: how many images can be answered so that nearly all answers are right."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation import figures
from pipelines.evaluation.intervals import Interval, draws, percentiles
from pipelines.evaluation.rates import Rate, rates
from pipelines.evaluation.selective import accuracy_at, area, certainty_for, resampled_accuracy
from pipelines.evidence.curves import coverage_curve
from pipelines.evidence.finding import Finding, Table
from pipelines.evidence.subject import Subject

ABOUT = (
    "A model that may say nothing where it is unsure is right more often where it answers "
    "(El-Yaniv and Wiener 2010). How sure it is of the class decided for is its certainty: without "
    "thresholds the probability, with thresholds how far it is above its own. The least certainty "
    "at which the answers are as accurate as asked for was chosen on the validation images and is "
    "judged on the test images. The curve answers the surest test images first."
)
COVERAGES = np.arange(1, 51) / 50
SHOWN = (1.0, 0.95, 0.9, 0.8, 0.7, 0.5)


def look(subject: Subject, folder: Path) -> Finding:
    """Judge answering only what the model is sure of, on the test images."""
    labels, answers = subject.labels("test"), subject.answers("test")
    asked = subject.spec.operating.answered_accuracy
    certainty = certainty_for(subject.labels("validation"), subject.answers("validation"), asked)
    groups = subject.of("test")["group"].tolist()
    drawn = np.concatenate(
        [
            resampled_accuracy(labels, answers, COVERAGES.tolist(), weights=weights)
            for weights in draws(groups, seed=subject.seed)
        ]
    )
    accuracy = np.array([accuracy_at(labels, answers, share) for share in COVERAGES])
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    reached = None if certainty is None else _answered(subject, certainty)
    figures.save(
        coverage_curve(
            COVERAGES,
            accuracy,
            (low, high),
            asked=asked,
            reached=(reached[0].value, reached[1].value) if reached else None,
            title=subject.title,
        ),
        folder / "abstention.png",
    )
    places = {share: int(np.argmin(abs(COVERAGES - share))) for share in SHOWN}
    named = {
        f"accuracy_at_{share:g}": (float(accuracy[k]), percentiles(drawn[:, k]))
        for share, k in places.items()
    }
    if reached:
        named |= {
            name: (rate.value, rate.interval)
            for name, rate in zip(("coverage", "accuracy_answered"), reached, strict=True)
        }
    return Finding(
        title="Abstention",
        about=ABOUT,
        said=(_said(asked, certainty, reached),),
        warnings=_warned(asked, reached),
        figures={"aurc": area(labels, answers)}
        | ({"confidence": certainty} if certainty is not None else {})
        | {name: value for name, (value, _) in named.items()},
        intervals={name: interval for name, (_, interval) in named.items()},
        tables=(_table(places, accuracy, drawn),),
        pictures={
            "abstention.png": "Accuracy of the answered test images by how many are answered."
        },
    )


def _answered(subject: Subject, certainty: float) -> tuple[Rate, Rate] | None:
    """How many test images are answered at a certainty, and how many of these rightly; ``None``
    if none is."""
    answers = subject.answers("test")
    answered = answers.certainty >= certainty
    if not answered.any():
        return None
    right = answers.right(subject.labels("test"))
    coverage, accuracy = rates(
        np.column_stack([answered, right]),
        np.column_stack([np.ones_like(answered), answered]),
        groups=subject.of("test")["group"].tolist(),
        seed=subject.seed,
    )
    return coverage, accuracy


def _said(asked: float, certainty: float | None, reached: tuple[Rate, Rate] | None) -> str:
    if certainty is None or reached is None:
        return (
            f"At no certainty are the answers on the validation images right in {asked:.1%}, so "
            "none can be chosen."
        )
    coverage, accuracy = reached
    return (
        f"Answering from a certainty of {certainty:.3f} on, {coverage.value:.1%} of the test "
        f"images are answered, {accuracy.value:.2%} of them rightly "
        f"({accuracy.interval.low:.2%} to {accuracy.interval.high:.2%})."
    )


def _warned(asked: float, reached: tuple[Rate, Rate] | None) -> tuple[str, ...]:
    if reached is None or reached[1].interval.high >= asked:
        return ()
    return (
        f"The accuracy of {asked:.1%} that the validation images promise of sure answers is not "
        "reached on the test images: the model is sure of wrong answers there. They show something "
        "that the validation images do not.",
    )


def _table(
    places: dict[float, int], accuracy: NDArray[np.float64], drawn: NDArray[np.float64]
) -> Table:
    rows = []
    for share, k in places.items():
        bounds: Interval = percentiles(drawn[:, k])
        told = f"{accuracy[k]:.3f} ({bounds.low:.3f} to {bounds.high:.3f})"
        rows.append((f"{share:.0%}", told))
    return Table(
        title="Accuracy on the surest part of the test images",
        columns=("answered", "accuracy"),
        rows=tuple(rows),
    )
